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

"""The files of a guest, which are deleted when its domain has ended."""

import typing

from nova import exception
from nova.virt.libvirt import driver as libvirt_driver
from nova.virt.libvirt import utils as libvirt_utils
from oslo_log import log as logging

from nova_isolation.virt import signatures

LOG = logging.getLogger(__name__)


class XenInstanceFiles(libvirt_driver.LibvirtDriver):
    """Deletes the files of a guest after its domain has ended for libvirt.

    A loop device of dom0 serves a raw file as a disk. When the domain ends,
    /etc/xen/scripts/block detaches it, but only while the file exists. Nova
    deletes the files of a guest that it could not start at once, and when
    libvirtd has died in that moment the domain is still there: the loop
    device would stay, with all the space of the deleted disk.
    """

    @signatures.override
    def delete_instance_files(self, instance: typing.Any) -> typing.Any:
        """See Nova's driver. A guest that has not ended is powered off.

        :returns: whether there are no files left
        """
        try:
            self._power_off(instance)
        except Exception as error:
            LOG.warning(
                'The files of the guest %(name)s are not deleted, because '
                'libvirt does not say that the guest has ended: %(error)s. '
                'Without its file, the loop device of a disk would stay. Nova '
                'may try again. If %(folder)s is still there when "xl list" '
                'has no domain of this name, delete it by hand.',
                {
                    'name': instance.name,
                    'error': error,
                    'folder': libvirt_utils.get_instance_path(instance),
                },
                instance=instance,
            )
            return False
        return super().delete_instance_files(instance)

    def _power_off(self, instance: typing.Any) -> None:
        """Power a guest off, if there is one.

        :raises Exception: libvirt cannot be asked, or does not do it
        """
        if self._is_active(instance):
            try:
                self._host.get_guest(instance).poweroff()
            except Exception:
                # It may have ended by itself in between.
                if self._is_active(instance):
                    raise

    def _is_active(self, instance: typing.Any) -> bool:
        try:
            return bool(self._host.get_guest(instance).is_active())
        except exception.InstanceNotFound:
            return False
