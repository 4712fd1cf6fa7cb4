# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.


"""The Xen machine as a kind of machine."""

from lab.machine import image as base_images
from lab.machine import kind
from lab.machine import ssh as connections
from lab.machine import warm
from lab.run import progress as progresses
from lab.run import supervisor as supervisors
from lab.xen import builder
from lab.xen import check
from lab.xen import driver_domain
from lab.xen import image as images
from lab.xen import recipe


def _build(
    supervisor: supervisors.Supervisor,
    progress: progresses.Progress,
    image: base_images.Image,
) -> None:
    builder.Builder(supervisor, progress, image).build()


def _warm(ssh: connections.Ssh) -> None:
    warm.warm(ssh, 'xen:///system')
    driver_domain.start(ssh)
    check.check_driver_domain(ssh)
    ssh.check(['sync'])


KIND = kind.Kind(
    name='xen',
    title="the lab's Xen machine",
    boots=(recipe.BOOT,),
    image=images.Image,
    key=recipe.key,
    build=_build,
    check=check.check,
    warm=_warm,
)
