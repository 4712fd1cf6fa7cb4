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

"""A guest as its host sees it."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Guest:
    """A guest as libvirt and the kernel of its host see it.

    :ivar wanted: the security label that libvirt's XML has for the process
    :ivar image: the label that libvirt's XML has for the disks
    :ivar label: the label of the process, of /proc/PID/attr/current
    :ivar seccomp: "Seccomp" of /proc/PID/status; 2 is a filter
    :ivar state: libvirt's state of the domain
    """

    wanted: str
    image: str
    label: str
    seccomp: int
    state: str

    @property
    def categories(self) -> frozenset[str]:
        """The MCS categories of the process's SELinux label, as cN.

        Empty where the label is none of SELinux. A range cN.cM is the set of
        all between.
        """
        _, _, level = self.label.partition(':s0:')
        found: set[str] = set()
        for part in filter(None, level.split(',')):
            first, _, last = part.partition('.')
            numbers = (
                int(n.removeprefix('c')) for n in (first, last or first)
            )
            start, end = numbers
            found.update(f'c{n}' for n in range(start, end + 1))
        return frozenset(found)
