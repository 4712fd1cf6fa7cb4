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

"""The roads on which a guest of this host is started again."""

import typing

from nova.compute import power_state
from nova.compute import task_states
from nova.compute import vm_states
from oslo_log import log as logging

from nova import exception as nova_exception
from nova_isolation.virt import exception
from nova_isolation.virt.roads import guarded_driver
from nova_isolation.virt.roads import recovery

LOG = logging.getLogger(__name__)


class PowerRoads(guarded_driver.GuardedDriver):
    """Reboot, suspend, resume, start of the service, boot of the host.

    Where Nova would stop a guest first, or lose its memory, it is decided
    before that.
    """

    #: While Nova deals with what was left of its guests, and nobody asks it
    #: yet: the instances whose reboot was refused. Else None.
    _refused: list[typing.Any] | None = None

    def reboot(
        self,
        context: typing.Any,
        instance: typing.Any,
        network_info: typing.Any,
        reboot_type: typing.Any,
        block_device_info: typing.Any = None,
        bad_volumes_callback: typing.Any = None,
        accel_info: typing.Any = None,
        share_info: typing.Any = None,
    ) -> None:
        """See Nova's driver.

        :raises nova_isolation.virt.exception.GuestRefused: here before the
            guest is stopped: a guest that runs, runs on
        """
        request = self.guard.requests.of_instance(instance, context)
        try:
            # Audit mode records it when the domain is written.
            if request.wanted and self.guard.enforces:
                self.guard.admit(request)
            super().reboot(
                context,
                instance,
                network_info,
                reboot_type,
                block_device_info,
                bad_volumes_callback,
                accel_info,
                share_info,
            )
        except exception.GuestRefused as refusal:
            if self._refused is None:
                raise
            # Nova does again what its end has interrupted, and does not start
            # where that fails. It will take the guest for running.
            self._refused.append(instance)
            self.guard.reporter.fault(instance, refusal)

    def suspend(self, context: typing.Any, instance: typing.Any) -> None:
        """See Nova's driver. A cold snapshot calls it too, and then starts
        the guest again.

        :raises nova_isolation.virt.exception.GuestRefused: that start would
            be refused; the guest runs on, there is no snapshot
        """
        if instance.task_state != task_states.SUSPENDING:
            request = self.guard.requests.of_instance(instance, context)
            if request.wanted:
                self.guard.admit(request)
        super().suspend(context, instance)

    def resume(
        self,
        context: typing.Any,
        instance: typing.Any,
        network_info: typing.Any,
        block_device_info: typing.Any = None,
        share_info: typing.Any = None,
    ) -> None:
        """See Nova's driver.

        :raises nova.exception.InstanceFaultRollback: refused before anything
            is touched: the guest stays suspended. Nova would undefine it,
            and with it delete its memory.
        """
        request = self.guard.requests.of_instance(instance, context)
        # Audit mode records it when the domain is written.
        if request.wanted and self.guard.enforces:
            try:
                self.guard.admit(request)
            except exception.GuestRefused as refusal:
                raise nova_exception.InstanceFaultRollback(
                    inner_exception=refusal
                ) from refusal
        super().resume(
            context, instance, network_info, block_device_info, share_info
        )

    def process_instances_at_startup(
        self, context: typing.Any, instances: typing.Any
    ) -> typing.Any:
        """See Nova's driver; what was left unverified comes first."""
        self._refused = []
        instances = super().process_instances_at_startup(context, instances)
        recovery.recover(self.guard, self._host, instances)
        return instances

    def _end_start_up(self) -> None:
        """Nova is through with what was left of its guests."""
        refused, self._refused = self._refused, None
        for instance in refused or ():
            if instance.power_state == power_state.RUNNING:
                # It was not even stopped.
                continue
            try:
                instance.vm_state = vm_states.ERROR
                instance.save()
            except Exception:
                # Nova finds out some time that it is off.
                LOG.exception('It is off, and not in ERROR', instance=instance)

    def resume_state_on_host_boot(
        self,
        context: typing.Any,
        instance: typing.Any,
        network_info: typing.Any,
        share_info: typing.Any,
        block_device_info: typing.Any = None,
    ) -> None:
        """See Nova's driver; a refusal is a fault, Nova would write none."""
        try:
            super().resume_state_on_host_boot(
                context, instance, network_info, share_info, block_device_info
            )
        except exception.GuestRefused as refusal:
            self.guard.reporter.fault(instance, refusal)
            raise
