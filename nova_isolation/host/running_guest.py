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

"""A started guest, as the mechanisms verify it."""

import functools
import hashlib
import typing

from nova_isolation.host import libvirt_guest
from nova_isolation.host import privileged
from nova_isolation.host import process_labels
from nova_isolation.host import qemu_process
from nova_isolation.mechanisms import sources


class RunningGuest(libvirt_guest.LibvirtGuest):
    """Answers from libvirt and the kernel; see the base class."""

    def __init__(
        self,
        domain: typing.Any,
        run_dir: str,
        proc: str,
        all_guests: process_labels.ProcessLabels,
    ) -> None:
        """:param domain: libvirt's domain, through Nova's connection
            proxy
        :param run_dir: the folder of libvirt's pid files
        :param proc: where the processes are seen, ``[isolation] process_root``
        :param all_guests: the labels of the guests with which this guest is
            compared
        """
        super().__init__(domain)
        self._run_dir = run_dir
        self._proc = proc
        self._process_labels = all_guests

    def security_label(self) -> tuple[str, bool]:
        """See the base class."""
        label, enforced = self._domain.securityLabel()
        return str(label), bool(enforced)

    def process(self) -> sources.Process:
        """See the base class; a guest of QEMU always has a process.

        :raises OSError, ValueError: the process cannot be found
        """
        return self._process

    def boot(self) -> str:
        """Name this run of the guest as no other run is ever named.

        The kernel numbers its own boot at random, and does not start two
        processes of one number within one tick.

        :returns: 32 hexadecimal digits, which say nothing about the host
        :raises OSError, ValueError: the process has ended
        """
        kernel = privileged.read(
            f'{self._proc}/sys/kernel/random/boot_id'
        ).strip()
        process = self._process
        name = f'{kernel} {self.uuid} {process.pid} {process.started()}'
        return hashlib.sha256(name.encode()).hexdigest()[:32]

    @functools.cached_property
    def _process(self) -> qemu_process.QemuProcess:
        return qemu_process.QemuProcess.find(
            self._run_dir, self.name, self.uuid, self._proc
        )

    def other_process_labels(self) -> dict[str, str]:
        """See the base class."""
        return self._process_labels.others(self.uuid)
