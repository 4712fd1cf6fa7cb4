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


"""Does on a booted machine, before its snapshot, what is slow once."""

from lab.machine import recipe
from lab.machine import ssh as connections

_SECONDS = 2400


def warm(ssh: connections.Ssh, uri: str) -> None:
    """Wait until the machine has booted; ask libvirt; import Nova.

    :param uri: the URI of libvirt's driver for the machine's guests
    :raises LabError: when one of it fails
    """
    # The exit status is 1 when any unit failed, which does not matter.
    ssh.run(['systemctl', 'is-system-running', '--wait'], _SECONDS)
    ssh.check(['virsh', '-q', '-c', uri, 'domcapabilities'], _SECONDS)
    ssh.check([recipe.VENV / 'bin/python', '-c', recipe.WARM_IMPORT], _SECONDS)
