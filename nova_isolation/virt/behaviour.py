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
"""What Nova must do, beside having the methods that the driver overrides.

Signatures do not show what a method does. What the guard rests on without
calling it is tried when the service starts, with Nova's own functions.
"""

import typing

from nova import exception as nova_exception
from nova import objects
from nova.virt.libvirt import config

from nova_isolation.host import domain_metadata
from nova_isolation.probes import libvirt_xml
from nova_isolation.virt import nova_release

#: What the flavor of the try asks for. The values have what XML must escape.
_EXTRA_SPECS = {
    'isolation:svirt': 'selinux',
    'quota:cpu_shares': '1024',
    'resources:<&">': '\'1"<&>',
}

_UUID = '00000000-0000-4000-8000-000000000001'


def check(driver: typing.Any) -> None:
    """Refuse a Nova that does not do what the guard rests on.

    :param driver: our driver; it need not be connected to libvirt
    :raises nova.exception.InvalidConfiguration: the extra specs of a flavor
        are not in the metadata of its guest's domain as
        :func:`nova_isolation.host.domain_metadata.of` reads them
    """
    found = _extra_specs_in_domain(driver)
    if found != _EXTRA_SPECS:
        raise nova_exception.InvalidConfiguration(
            'nova-isolation does not fit this Nova: the extra specs of a '
            "flavor do not get into the metadata of its guest's domain, so "
            'the libvirt hook would take tagged guests for untagged ones. '
            f'Wanted {_EXTRA_SPECS}, found {found}. Nova is '
            f'{nova_release.version()}; supported are '
            f'{nova_release.SUPPORTED}. Install the release of '
            'nova-isolation that was made for this Nova.'
        )


def _extra_specs_in_domain(driver: typing.Any) -> dict[str, str]:
    domain = config.LibvirtConfigGuest()
    domain.virt_type = 'qemu'
    domain.uuid = _UUID
    domain.name = 'instance-00000001'
    domain.memory = 1024
    domain.vcpus = 1
    domain.metadata.append(
        driver._get_guest_config_meta(
            driver.get_instance_driver_metadata(_instance(), [])
        )
    )
    _, extra_specs = domain_metadata.of(libvirt_xml.parse(domain.to_xml()))
    return extra_specs


def _instance() -> typing.Any:
    objects.register_all()
    return objects.Instance(
        uuid=_UUID,
        display_name='guest',
        user_id='user',
        project_id='project',
        image_ref=_UUID,
        system_metadata={},
        flavor=objects.Flavor(
            name='flavor',
            flavorid='1',
            memory_mb=1,
            vcpus=1,
            ephemeral_gb=0,
            root_gb=1,
            swap=0,
            extra_specs=dict(_EXTRA_SPECS),
        ),
    )
