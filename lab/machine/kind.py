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


"""What differs between the kinds of machine that the lab has."""

from collections.abc import Callable
import dataclasses

from lab.machine import image as images
from lab.machine import ssh as connections
from lab.run import progress as progresses
from lab.run import supervisor as supervisors


@dataclasses.dataclass(frozen=True)
class Kind:
    """How machines of one kind are made, booted and checked."""

    #: The name of their folder in the cache.
    name: str
    #: What they are called when one is built.
    title: str
    #: The ways in which one image boots; there is a snapshot of each.
    boots: tuple[str, ...]
    #: The class of their files.
    image: type[images.Image]
    #: The name of an image, which changes when an input of it changes.
    key: Callable[[supervisors.Supervisor], str]
    #: Makes the files of an image in an empty folder.
    build: Callable[
        [supervisors.Supervisor, progresses.Progress, images.Image], None
    ]
    #: Checks that a booted machine is what its boot promises; LabError if not.
    check: Callable[[connections.Ssh, str], None]
    #: Does once, before the snapshot, what is slow the first time.
    warm: Callable[[connections.Ssh], None]
