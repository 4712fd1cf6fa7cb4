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

"""The methods of the driver that start a guest of this host again."""

import typing

from nova import exception as nova_exception
from nova.compute import power_state
from nova.compute import task_states
from nova.compute import vm_states
from oslo_log import log as logging

from nova_isolation.virt import exception
from nova_isolation.virt import signatures
from nova_isolation.virt.roads import guarded_driver
from nova_isolation.virt.roads import recovery

LOG = logging.getLogger(__name__)


class GuardedPower(guarded_driver.GuardedDriver):
    """Reboot, suspend, resume, start of the service, boot of the host.

    Where Nova would stop a guest first, or lose its memory, the guard decides
    before that.
    """

    #: While Nova starts and deals with the guests of its last run: the
    #: instances whose reboot was refused. Later None.
    _refused_reboots: list[typing.Any] | None = None

    @signatures.override
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

        :raises nova_isolation.virt.exception.GuestRefused: the reboot is
            refused before the guest is stopped: a running guest runs on
        """
        request = self.guard.requests.of_instance(instance, context)
        try:
            # Audit mode records the decision when the domain is defined.
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
            if self._refused_reboots is None:
                raise
            # At its start Nova repeats a reboot that its end has interrupted,
            # and does not start if the reboot raises. Nova will take the
            # guest for running.
            self._refused_reboots.append(instance)
            self.guard.conclusions.report_missing_fault(request, refusal)

    @signatures.override
    def suspend(self, context: typing.Any, instance: typing.Any) -> None:
        """See Nova's driver. A cold snapshot suspends too, and then starts
        the guest again.

        :raises nova_isolation.virt.exception.GuestRefused: that start would
            be refused; the guest runs on and no snapshot is made
        """
        if instance.task_state != task_states.SUSPENDING:
            request = self.guard.requests.of_instance(instance, context)
            if request.wanted:
                self.guard.admit(request)
        super().suspend(context, instance)

    @signatures.override
    def resume(
        self,
        context: typing.Any,
        instance: typing.Any,
        network_info: typing.Any,
        block_device_info: typing.Any = None,
        share_info: typing.Any = None,
    ) -> None:
        """See Nova's driver.

        :raises nova.exception.InstanceFaultRollback: the guest is refused
            before Nova touches it, and stays suspended. Later, Nova would
            undefine the guest and so delete its saved memory.
        """
        request = self.guard.requests.of_instance(instance, context)
        # Audit mode records the decision when the domain is defined.
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

    def _begin_with(self, instances: typing.Any) -> None:
        """See the base class. Guests that were left unverified come first."""
        self._refused_reboots = []
        recovery.recover(self.guard, self._host, instances)

    def _end_start_up(self) -> None:
        """Nova has dealt with the guests of its last run."""
        refused, self._refused_reboots = self._refused_reboots, None
        for instance in refused or ():
            if instance.power_state == power_state.RUNNING:
                # Its reboot was refused before the guest was stopped.
                continue
            try:
                instance.vm_state = vm_states.ERROR
                instance.save()
            except Exception:
                # Nova's periodic task sees later that the guest is off.
                LOG.exception(
                    'Guest is powered off, but the server could not be set '
                    'to ERROR',
                    instance=instance,
                )

    @signatures.override
    def resume_state_on_host_boot(
        self,
        context: typing.Any,
        instance: typing.Any,
        network_info: typing.Any,
        share_info: typing.Any,
        block_device_info: typing.Any = None,
    ) -> None:
        """See Nova's driver. Nova writes no fault if this raises."""
        try:
            super().resume_state_on_host_boot(
                context, instance, network_info, share_info, block_device_info
            )
        except exception.GuestRefused as refusal:
            self.guard.conclusions.report_missing_fault(
                self.guard.requests.of_instance(instance, context), refusal
            )
            raise
