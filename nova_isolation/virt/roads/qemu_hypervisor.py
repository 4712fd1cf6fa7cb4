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

"""What is particular to QEMU in what the driver gives to the guard."""

import typing

from nova_isolation.host import bounded_calls
from nova_isolation.host import process_labels
from nova_isolation.host import running_guest
from nova_isolation.mechanisms import sources
from nova_isolation.virt.guard import hypervisor
from nova_isolation.virt.roads import libvirt_hypervisor

#: Seconds that the reading of one guest's label may take. It is less than
#: what the verification of a guest may take, which reads all labels.
_LABEL = 5.0


class QemuHypervisor(libvirt_hypervisor.LibvirtHypervisor):
    """libvirt that runs each guest as a QEMU process of this host."""

    def __init__(self, host: typing.Any, options: typing.Any) -> None:
        """:param host: Nova's Host
        :param options: the ``[isolation]`` group
        """
        super().__init__(host, options.measure_timeout)
        self._options = options
        self._census = bounded_calls.BoundedCalls(_LABEL)

    def guest(
        self, handle: typing.Any, shared: typing.Any = None
    ) -> sources.Guest:
        """See the base class. The processes' labels can be shared."""
        return running_guest.RunningGuest(
            handle._domain,
            self._options.qemu_run_dir,
            self._options.process_root,
            shared or self.shared(),
        )

    def started_run(self, handle: typing.Any) -> int | None:
        """See the base class.

        The answer of libvirt to a start has the id of the run that it began,
        and libvirt's client keeps it in the domain.
        """
        number = handle.id
        return number if number >= 0 else None

    def arrival(self, handle: typing.Any) -> hypervisor.Arrival | None:
        """See the base class.

        libvirt shows the state PAUSED_MIGRATION while QEMU receives memory,
        and PAUSED_USER when the last step of the migration is over here
        (``qemuMigrationDstComplete``).
        """
        import libvirt

        reason = _paused_by(handle)
        if reason not in (
            libvirt.VIR_DOMAIN_PAUSED_MIGRATION,
            libvirt.VIR_DOMAIN_PAUSED_USER,
        ):
            return None
        return hypervisor.Arrival(
            self.boot(self.guest(handle)),
            complete=reason == libvirt.VIR_DOMAIN_PAUSED_USER,
        )

    def has_arrived(self, handle: typing.Any) -> bool:
        """See the base class."""
        import libvirt

        return bool(_paused_by(handle) == libvirt.VIR_DOMAIN_PAUSED_USER)

    def boot(self, guest: sources.Guest) -> str:
        """See the base class."""
        return typing.cast(running_guest.RunningGuest, guest).boot()

    def shared(
        self, before: process_labels.ProcessLabels | None = None
    ) -> process_labels.ProcessLabels:
        """See the base class."""
        return process_labels.ProcessLabels(
            self._host,
            self._options.qemu_run_dir,
            self._options.process_root,
            self._census,
            before,
        )


def _paused_by(handle: typing.Any) -> int | None:
    """Why a domain is paused, one of libvirt's reasons; None: it is not."""
    import libvirt

    state, reason = handle._domain.state()
    return int(reason) if state == libvirt.VIR_DOMAIN_PAUSED else None
