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

"""What a host with many guests asks, for a benchmark: libvirt and Nova.

libvirt's answers are made here, each anew, as they come from its daemon. Nova
has its own objects, made of the text that its conductor sends.
"""

from collections.abc import Mapping
import datetime
import functools
import json
from pathlib import Path
import typing

import libvirt
from nova import objects
from nova.objects import base as objects_base
from nova.objects import instance as nova_instance
from nova.virt.libvirt import guest as libvirt_guest

from tools import many_guests

HOST = 'bench-host'
_EMULATOR = '/usr/bin/qemu-system-x86_64'
_XML = Path(__file__).parent / 'many_guests.xml'
_CAPABILITIES = (
    '<capabilities><host><secmodel><model>selinux</model><doi>0</doi>'
    "<baselabel type='qemu'>system_u:system_r:svirt_tcg_t:s0</baselabel>"
    '</secmodel><secmodel><model>dac</model><doi>0</doi></secmodel></host>'
    '</capabilities>'
)
_DOMAIN_CAPABILITIES = (
    f'<domainCapabilities><path>{_EMULATOR}</path><domain>qemu</domain>'
    '<machine>pc-i440fx-7.2</machine><arch>x86_64</arch></domainCapabilities>'
)
_THEN = datetime.datetime(2026, 11, 28, 8, tzinfo=datetime.timezone.utc)
_UUID = '00000000-0000-4000-8000-00000000beac'


class Domain:
    """libvirt's domain of a guest, as far as a verification asks it.

    The names are libvirt's.
    """

    def __init__(
        self, guest: many_guests.Guest, specs: Mapping[str, str]
    ) -> None:
        """:param guest: the guest
        :param specs: the extra specs in its metadata
        """
        self._guest = guest
        self._specs = specs

    def UUIDString(self) -> str:
        """As libvirt's."""
        return self._guest.uuid

    def name(self) -> str:
        """As libvirt's."""
        return self._guest.name

    def ID(self) -> int:
        """As libvirt's."""
        return self._guest.number

    def info(self) -> list[int]:
        """As libvirt's."""
        return [libvirt.VIR_DOMAIN_RUNNING, 8388608, 8388608, 4, 10**9]

    def isActive(self) -> int:
        """As libvirt's."""
        return 1

    def securityLabel(self) -> list[object]:
        """As libvirt's."""
        return [self._guest.label, True]

    def XMLDesc(self, flags: int = 0) -> str:
        """As libvirt's."""
        return _xml().format(
            id=self._guest.number,
            name=self._guest.name,
            uuid=self._guest.uuid,
            label=self._guest.label,
            specs='\n          '.join(
                f'<nova:extraSpec name="{key}">{value}</nova:extraSpec>'
                for key, value in self._specs.items()
            ),
        )


@functools.cache
def _xml() -> str:
    return _XML.read_text(encoding='utf-8')


class LibvirtHost:
    """Nova's Host, and libvirt's connection.

    :ivar guests: UUID -> guest that runs
    :ivar specs: the extra specs of their flavor
    """

    def __init__(self) -> None:
        self.guests: dict[str, many_guests.Guest] = {}
        self.specs: Mapping[str, str] = {}

    def get_connection(self) -> 'LibvirtHost':
        """As Nova's."""
        return self

    def list_instance_domains(self, only_running: bool = True) -> list[Domain]:
        """As Nova's."""
        return [Domain(one, self.specs) for one in self.guests.values()]

    def list_guests(self, only_running: bool = True) -> list[typing.Any]:
        """As Nova's."""
        return [
            libvirt_guest.Guest(one) for one in self.list_instance_domains()
        ]

    def lookupByUUIDString(self, uuid: str) -> Domain:
        """As libvirt's."""
        return Domain(self.guests[uuid], self.specs)

    def getCapabilities(self) -> str:
        """As libvirt's."""
        return _CAPABILITIES

    def getDomainCapabilities(self, *_: object) -> str:
        """As libvirt's."""
        return _DOMAIN_CAPABILITIES

    def domainXMLToNative(self, *_: object) -> str:
        """As libvirt's."""
        return f'{_EMULATOR} {" ".join(many_guests.ARGUMENTS)}'


class Conductor:
    """Nova's conductor, which is asked for the instances of the host."""

    def __init__(self, host: LibvirtHost) -> None:
        """:param host: the host whose instances Nova has in its database"""
        objects.register_all()
        self._host = host
        self._serializer = objects_base.NovaObjectSerializer()

    def object_class_action_versions(
        self,
        context: typing.Any,
        objname: str,
        objmethod: str,
        object_versions: object,
        args: object,
        kwargs: object,
    ) -> typing.Any:
        """As Nova's API of the conductor.

        :raises RuntimeError: for a question that a watch on a host without
            violations does not ask
        """
        if (objname, objmethod) != ('InstanceList', 'get_by_host'):
            raise RuntimeError(f'the bench has no {objname}.{objmethod}')
        return self._serializer.deserialize_entity(
            context, json.loads(self._answer())
        )

    def _answer(self) -> str:
        """The answer as it comes from the message queue."""
        head, one, tail = _primitives(tuple(self._host.specs.items()))
        return (
            head
            + ','.join(one.replace(_UUID, uuid) for uuid in self._host.guests)
            + tail
        )


@functools.cache
def _primitives(specs: tuple[tuple[str, str], ...]) -> tuple[str, str, str]:
    """The answer of a conductor about one instance, in three parts."""
    instance = _instance(dict(specs))
    one = json.dumps(instance.obj_to_primitive())
    whole = json.dumps(
        objects.InstanceList(objects=[instance]).obj_to_primitive()
    )
    head, tail = whole.split(one)
    return head, one, tail


def _instance(specs: dict[str, str]) -> typing.Any:
    """Nova's instance with a flavor, and all columns of its table."""
    values = {
        'id': 1,
        'uuid': _UUID,
        'host': HOST,
        'node': HOST,
        'launched_on': HOST,
        'vm_state': 'active',
        'power_state': 1,
        'launched_at': _THEN,
        'created_at': _THEN,
        'display_name': 'one of many guests',
        'hostname': 'one-of-many-guests',
        'availability_zone': 'nova',
        'root_device_name': '/dev/vda',
        'flavor': objects.Flavor(
            id=1,
            flavorid=_UUID,
            name='isolated.large',
            memory_mb=8192,
            vcpus=4,
            root_gb=40,
            ephemeral_gb=0,
            swap=0,
            rxtx_factor=1.0,
            vcpu_weight=0,
            disabled=False,
            is_public=True,
            extra_specs=specs,
            created_at=_THEN,
        ),
        'old_flavor': None,
        'new_flavor': None,
    }
    instance = objects.Instance()
    for name, field in objects.Instance.fields.items():
        if name in values:
            setattr(instance, name, values[name])
        elif name not in nova_instance.INSTANCE_OPTIONAL_ATTRS:
            setattr(instance, name, None if field.nullable else False)
    # As those that were loaded from the database.
    instance.obj_reset_changes(recursive=True)
    return instance
