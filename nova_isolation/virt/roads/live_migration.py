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

"""Live migration: the methods of the driver, on both hosts."""

import functools
import typing

from nova_isolation.virt import signatures
from nova_isolation.virt.roads import arrivals
from nova_isolation.virt.roads import choke_points
from nova_isolation.virt.roads import guarded_driver
from nova_isolation.virt.roads import migration_steps


class GuardedLiveMigration(guarded_driver.GuardedDriver):
    """Decides on both hosts before memory moves, verifies at arrival."""

    @functools.cached_property
    def _arrivals(self) -> arrivals.Arrivals:
        return arrivals.Arrivals(self.guard, self._host)

    @signatures.override
    def check_can_live_migrate_destination(
        self,
        context: typing.Any,
        instance: typing.Any,
        src_compute_info: typing.Any,
        dst_compute_info: typing.Any,
        block_migration: typing.Any = False,
        disk_over_commit: typing.Any = False,
    ) -> typing.Any:
        """See Nova's driver. Nova calls it for forced destinations too.

        :raises nova.exception.MigrationPreCheckError: this host does not
            meet a requirement of the guest
        """
        request = self.guard.requests.of_instance(instance, context)
        if request.wanted:
            migration_steps.check_destination(self.guard, request)
        return super().check_can_live_migrate_destination(
            context,
            instance,
            src_compute_info,
            dst_compute_info,
            block_migration,
            disk_over_commit,
        )

    @signatures.override
    def pre_live_migration(
        self,
        context: typing.Any,
        instance: typing.Any,
        block_device_info: typing.Any,
        network_info: typing.Any,
        disk_info: typing.Any,
        migrate_data: typing.Any,
    ) -> typing.Any:
        """See Nova's driver. The destination decides once more.

        :raises nova.exception.MigrationPreCheckError: see
            :meth:`check_can_live_migrate_destination`
        """
        request = self.guard.requests.of_instance(instance, context)
        # Audit mode has recorded the same decision a moment ago.
        if request.wanted and self.guard.enforces:
            migration_steps.check_destination(self.guard, request)
        result = super().pre_live_migration(
            context,
            instance,
            block_device_info,
            network_info,
            disk_info,
            migrate_data,
        )
        self._arrivals.expect(instance, request)
        return result

    @signatures.override
    def rollback_live_migration_at_destination(
        self,
        context: typing.Any,
        instance: typing.Any,
        network_info: typing.Any,
        block_device_info: typing.Any,
        destroy_disks: bool = True,
        migrate_data: typing.Any = None,
    ) -> None:
        """See Nova's driver. The guest is no longer expected."""
        self._arrivals.forget(instance.uuid)
        super().rollback_live_migration_at_destination(
            context,
            instance,
            network_info,
            block_device_info,
            destroy_disks,
            migrate_data,
        )

    @signatures.override
    def _live_migration(
        self,
        context: typing.Any,
        instance: typing.Any,
        dest: str,
        post_method: typing.Any,
        recover_method: typing.Any,
        block_migration: typing.Any,
        migrate_data: typing.Any,
    ) -> None:
        request = self.guard.requests.of_instance(instance, context)
        if request.wanted:
            if not migration_steps.may_leave(
                self.guard, instance, request, dest
            ):
                # Nova takes an exception here for one after the hand-over
                # of the guest, and does not roll back.
                recover_method(context, instance, dest, migrate_data)
                return
            post_method = migration_steps.releasing(post_method, migrate_data)
        super()._live_migration(
            context,
            instance,
            dest,
            post_method,
            recover_method,
            block_migration,
            migrate_data,
        )

    @signatures.override
    def _live_migration_operation(
        self,
        context: typing.Any,
        instance: typing.Any,
        dest: str,
        block_migration: typing.Any,
        migrate_data: typing.Any,
        guest: typing.Any,
        device_names: typing.Any,
    ) -> typing.Any:
        choke_points.GuardedGuest.decide_arrival(
            guest,
            lambda: migration_steps.arrives_paused(self.guard, instance, dest),
        )
        return super()._live_migration_operation(
            context,
            instance,
            dest,
            block_migration,
            migrate_data,
            guest,
            device_names,
        )

    @signatures.override
    def post_live_migration_at_destination(
        self,
        context: typing.Any,
        instance: typing.Any,
        network_info: typing.Any,
        block_migration: typing.Any = False,
        block_device_info: typing.Any = None,
    ) -> None:
        """See Nova's driver. The guest has arrived, paused if it is tagged;
        or it was verified and resumed already (:mod:`.expected_guest`).

        :raises nova_isolation.virt.exception.GuestRefused: the guest does
            not meet its requirements; it stays paused
        """
        try:
            # From here on only this thread resumes the guest.
            resumed = self._arrivals.settle(instance.uuid)
            request = migration_steps.request_for_arrival(
                self.guard, self._host, instance, context
            )
            if request.wanted:
                migration_steps.arrive(
                    self.guard, self._host, instance, request, resumed
                )
        finally:
            super().post_live_migration_at_destination(
                context,
                instance,
                network_info,
                block_migration,
                block_device_info,
            )
