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

"""What this driver does not do. Each is refused before anything is touched."""

import typing

from nova import exception
from nova.virt.libvirt import driver as libvirt_driver

from nova_isolation.virt import signatures


class RefusingDriver(libvirt_driver.LibvirtDriver):
    """Refuses what libxl cannot do.

    Of what is not here, Nova itself refuses a set password, quiescing and a
    crash dump: it asks for QEMU, or hands on libvirt's ``not supported``. It
    makes a cold snapshot where a live one needs QEMU.
    """

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
        """See Nova's driver.

        :raises nova.exception.MigrationPreCheckError: always. Nova's live
            migration speaks to QEMU (``migrateToURI3`` with jobs, and a
            comparison of processors that libxl does not have:
            virConnectCompareHypervisorCPU).
        """
        raise exception.MigrationPreCheckError(
            reason='this host runs Xen, and no guest is migrated live to it; '
            'migrate the guest cold'
        )

    @signatures.override
    def check_can_live_migrate_source(
        self,
        context: typing.Any,
        instance: typing.Any,
        dest_check_data: typing.Any,
        block_device_info: typing.Any = None,
    ) -> typing.Any:
        """See :meth:`check_can_live_migrate_destination`. The destination may
        run another driver.

        :raises nova.exception.MigrationPreCheckError: always
        """
        raise exception.MigrationPreCheckError(
            reason='this guest runs on Xen, and is not migrated live from '
            'there; migrate the guest cold'
        )

    @signatures.override
    def swap_volume(
        self,
        context: typing.Any,
        old_connection_info: typing.Any,
        new_connection_info: typing.Any,
        instance: typing.Any,
        mountpoint: typing.Any,
        resize_to: typing.Any,
    ) -> None:
        """See Nova's driver.

        :raises nova.exception.VolumeRebaseFailed: always. ``this function is
            not supported by the connection driver: virDomainBlockCopy``, when
            Nova has connected the new volume already.
        """
        raise exception.VolumeRebaseFailed(
            reason='Xen does not swap the volume of a guest; detach the old '
            'volume and attach the new one'
        )

    @signatures.override
    def extend_volume(
        self,
        context: typing.Any,
        connection_info: typing.Any,
        instance: typing.Any,
        requested_size: typing.Any,
    ) -> None:
        """See Nova's driver.

        :raises nova.exception.ExtendVolumeNotSupported: always. ``this
            function is not supported by the connection driver:
            virDomainBlockResize``
        """
        raise exception.ExtendVolumeNotSupported()

    @signatures.override
    def volume_snapshot_create(
        self,
        context: typing.Any,
        instance: typing.Any,
        volume_id: typing.Any,
        create_info: typing.Any,
    ) -> None:
        """See Nova's driver.

        :raises nova.exception.NovaException: always. ``this function is not
            supported by the connection driver: virDomainSnapshotCreateXML``
        """
        raise exception.NovaException(
            'Xen makes no snapshot of a volume of a guest'
        )

    @signatures.override
    def volume_snapshot_delete(
        self,
        context: typing.Any,
        instance: typing.Any,
        volume_id: typing.Any,
        snapshot_id: typing.Any,
        delete_info: typing.Any,
    ) -> None:
        """See :meth:`volume_snapshot_create`.

        :raises nova.exception.NovaException: always
        """
        raise exception.NovaException(
            'Xen deletes no snapshot of a volume of a guest'
        )
