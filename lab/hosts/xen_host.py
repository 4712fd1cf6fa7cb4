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


"""A compute host of the lab that is a virtual machine with Xen."""

import dataclasses
from pathlib import Path
from typing import ClassVar

from lab.hosts import machine_host
from lab.machine import kind as kinds
from lab.xen import image as images
from lab.xen import machine

#: The device model of Debian's Xen.
_DEVICE_MODEL = Path('/usr/libexec/xen-qemu-system-i386')


@dataclasses.dataclass(frozen=True)
class XenHost(machine_host.MachineHost):
    """A compute host with Xen; see lab.hosts.compute_host.

    Its commands run in dom0.
    """

    KIND: ClassVar[kinds.Kind] = machine.KIND
    URI: ClassVar[str] = 'xen:///system'

    @property
    def image(self) -> images.Image:
        """The files of the machine, those of its guests among them."""
        return images.Image(self.folder)

    @property
    def pids(self) -> Path:
        """See lab.hosts.compute_host; libxl writes no pid files."""
        return Path('/run/libvirt/libxl')

    def emulator(self) -> Path:
        """See lab.hosts.compute_host."""
        return _DEVICE_MODEL
