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
"""Nova 31 and 32: ``Guest.migrate`` has no parameter ``parallel``.

Nova 33 added parallel connections of a live migration. Source:
nova/virt/libvirt/guest.py of nova 32.2.1 and 33.0.2.
"""

import inspect
import typing

from nova.virt.libvirt import guest as libvirt_guest

from nova_isolation.virt import signatures


class _Sent(libvirt_guest.Guest):
    def _flags_to_send(self, flags: int) -> int:
        """The flags with which the guest is to be sent.

        :param flags: ``VIR_MIGRATE_*``, as Nova wants them
        """
        raise NotImplementedError


class SentSince33(_Sent):
    """Nova 33 and newer."""

    @signatures.override
    def migrate(
        self,
        destination: typing.Any,
        migrate_uri: typing.Any = None,
        migrate_disks: typing.Any = None,
        destination_xml: typing.Any = None,
        flags: int = 0,
        bandwidth: int = 0,
        parallel: int = 0,
    ) -> None:
        """See Nova's Guest."""
        super().migrate(
            destination,
            migrate_uri=migrate_uri,
            migrate_disks=migrate_disks,
            destination_xml=destination_xml,
            flags=self._flags_to_send(flags),
            bandwidth=bandwidth,
            parallel=parallel,
        )


class SentBefore33(_Sent):
    """Nova 31 and 32."""

    @signatures.override
    def migrate(
        self,
        destination: typing.Any,
        migrate_uri: typing.Any = None,
        migrate_disks: typing.Any = None,
        destination_xml: typing.Any = None,
        flags: int = 0,
        bandwidth: int = 0,
    ) -> None:
        """See Nova's Guest."""
        super().migrate(
            destination,
            migrate_uri=migrate_uri,
            migrate_disks=migrate_disks,
            destination_xml=destination_xml,
            flags=self._flags_to_send(flags),
            bandwidth=bandwidth,
        )


_PARAMETERS = inspect.signature(libvirt_guest.Guest.migrate).parameters
if typing.TYPE_CHECKING or 'parallel' in _PARAMETERS:
    SentGuest = SentSince33
else:
    SentGuest = SentBefore33
