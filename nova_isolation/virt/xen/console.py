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

"""The console of a guest, which xenconsoled writes to a file of its own."""

import os.path
import typing

import nova.conf
from nova.privsep import path as privileged_path
from nova.virt.libvirt import driver as libvirt_driver
from oslo_log import log as logging

from nova_isolation.virt import signatures

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)


def log_path(name: str) -> str:
    """Where xenconsoled keeps what a guest has written.

    :param name: the name of the domain
    """
    return os.path.join(
        CONF.isolation.xen_console_log_dir, f'guest-{name}.log'
    )


def forget(name: str) -> None:
    """Empty the file before a new guest is made, and after its end.

    xenconsoled appends to it, and a guest of the same name may have been on
    this host: its output would be shown as that of the new guest. Nobody else
    would ever remove what a deleted guest has written.

    :param name: the name of the domain
    :raises Exception: there is a file, and it cannot be emptied
    """
    # Not made where there is none: it would belong to nova-compute's root.
    if _last_bytes(name, 1) is not None:
        privileged_path.writefile(log_path(name), 'w', '')


def _forget_deleted(instance: typing.Any) -> None:
    """Empty the file of a guest that is deleted.

    The guest and its disk are gone already. An error must not keep the server
    in Nova: a new guest of the name does not start before the file is empty.

    :param instance: Nova's instance, of a tagged flavor or not
    """
    try:
        forget(instance.name)
    except Exception as error:
        LOG.warning(
            'Cannot empty %(file)s, so what the deleted guest %(name)s has '
            'written stays there: %(error)s. Remove the file; until then no '
            'guest of this name is created on this host.',
            {
                'file': log_path(instance.name),
                'name': instance.name,
                'error': error,
            },
            instance=instance,
        )


def _last_bytes(name: str, count: int) -> bytes | None:
    """The end of what a guest has written; None: there is no file.

    It is read as root. Only root and the group of the host's admins can see
    the folder, so nobody else can find out whether the file exists.
    """
    try:
        found: bytes = privileged_path.last_bytes(log_path(name), count)[0]
    except FileNotFoundError:
        return None
    return found


class XenConsole(libvirt_driver.LibvirtDriver):
    """Shows a console, and forgets that of a guest that is deleted."""

    @signatures.override
    def cleanup(
        self,
        context: typing.Any,
        instance: typing.Any,
        network_info: typing.Any,
        block_device_info: typing.Any = None,
        destroy_disks: bool = True,
        migrate_data: typing.Any = None,
        destroy_vifs: bool = True,
        destroy_secrets: bool = True,
    ) -> None:
        """See Nova's driver, which removes its own file with the disks."""
        super().cleanup(
            context,
            instance,
            network_info,
            block_device_info=block_device_info,
            destroy_disks=destroy_disks,
            migrate_data=migrate_data,
            destroy_vifs=destroy_vifs,
            destroy_secrets=destroy_secrets,
        )
        if destroy_disks:
            _forget_deleted(instance)

    @signatures.override
    def get_console_output(
        self, context: typing.Any, instance: typing.Any
    ) -> typing.Any:
        """See Nova's driver, which reads the terminal of a PV or PVH guest
        itself: what nobody has read in time is lost, and a guest that
        rebooted has another terminal. The serial line of an HVM guest goes to
        a file of Nova's.
        """
        written = _last_bytes(instance.name, libvirt_driver.MAX_CONSOLE_BYTES)
        return written or super().get_console_output(context, instance)
