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

"""What of Nova the driver overrides and calls, and how it must look.

The driver stands on methods that Nova does not promise to keep. When one of
them has changed, a guard might no longer be asked; so the driver refuses to
run. Source: nova 34.0.0.
"""

from collections.abc import Iterator
import inspect
import typing

from nova.virt.libvirt import driver as libvirt_driver
from nova.virt.libvirt import guest as libvirt_guest
from nova.virt.libvirt import host as libvirt_host

from nova import exception as nova_exception

#: (owner, method) -> the names of its parameters
EXPECTED: dict[tuple[type, str], str] = {
    (libvirt_driver.LibvirtDriver, '__init__'): 'self virtapi read_only',
    (libvirt_driver.LibvirtDriver, 'init_host'): 'self host',
    (libvirt_driver.LibvirtDriver, 'cleanup_host'): 'self host',
    (libvirt_driver.LibvirtDriver, 'emit_event'): 'self event',
    (libvirt_driver.LibvirtDriver, 'spawn'): (
        'self context instance image_meta injected_files admin_password '
        'allocations network_info block_device_info power_on accel_info'
    ),
    (libvirt_driver.LibvirtDriver, 'instance_exists'): 'self instance',
    (libvirt_driver.LibvirtDriver, 'destroy'): (
        'self context instance network_info block_device_info destroy_disks '
        'destroy_secrets'
    ),
    (libvirt_driver.LibvirtDriver, '_create_guest'): (
        'self context xml instance power_on pause post_xml_callback'
    ),
    (
        libvirt_driver.LibvirtDriver,
        'get_available_resource',
    ): 'self nodename',
    (libvirt_driver.LibvirtDriver, 'reboot'): (
        'self context instance network_info reboot_type block_device_info '
        'bad_volumes_callback accel_info share_info'
    ),
    (libvirt_driver.LibvirtDriver, 'suspend'): 'self context instance',
    (libvirt_driver.LibvirtDriver, 'resume'): (
        'self context instance network_info block_device_info share_info'
    ),
    (libvirt_driver.LibvirtDriver, 'process_instances_at_startup'): (
        'self context instances'
    ),
    (libvirt_driver.LibvirtDriver, 'resume_state_on_host_boot'): (
        'self context instance network_info share_info block_device_info'
    ),
    (libvirt_driver.LibvirtDriver, 'check_can_live_migrate_destination'): (
        'self context instance src_compute_info dst_compute_info '
        'block_migration disk_over_commit'
    ),
    (libvirt_driver.LibvirtDriver, 'pre_live_migration'): (
        'self context instance block_device_info network_info disk_info '
        'migrate_data'
    ),
    (libvirt_driver.LibvirtDriver, '_live_migration'): (
        'self context instance dest post_method recover_method '
        'block_migration migrate_data'
    ),
    (libvirt_driver.LibvirtDriver, 'post_live_migration_at_destination'): (
        'self context instance network_info block_migration block_device_info'
    ),
    (libvirt_driver.LibvirtDriver, 'update_provider_tree'): (
        'self provider_tree nodename allocations'
    ),
    (libvirt_host.Host, '__init__'): (
        'self uri read_only conn_event_handler lifecycle_event_handler'
    ),
    (libvirt_host.Host, 'get_connection'): 'self',
    (libvirt_host.Host, 'get_guest'): 'self instance',
    (libvirt_host.Host, 'list_guests'): 'self only_running',
    (libvirt_host.Host, 'list_instance_domains'): 'self only_running',
    (libvirt_host.Host, 'write_instance_config'): 'self xml',
    (libvirt_guest.Guest, '__init__'): 'self domain',
    (libvirt_guest.Guest, 'launch'): 'self pause',
    (libvirt_guest.Guest, 'migrate'): (
        'self destination migrate_uri migrate_disks destination_xml flags '
        'bandwidth parallel'
    ),
    (libvirt_guest.Guest, 'get_power_state'): 'self host',
    (libvirt_guest.Guest, 'pause'): 'self',
    (libvirt_guest.Guest, 'poweroff'): 'self',
    (libvirt_guest.Guest, 'resume'): 'self',
    (libvirt_guest.Guest, 'is_active'): 'self',
}


def drift(
    expected: dict[tuple[type, str], str] = EXPECTED,
) -> Iterator[str]:
    """What of Nova is not as the driver needs it; nothing if all is well."""
    for (owner, name), wanted in expected.items():
        method: typing.Any = getattr(owner, name, None)
        where = f'{owner.__module__}.{owner.__qualname__}.{name}'
        if method is None:
            yield f'{where} is gone'
            continue
        found = ' '.join(inspect.signature(method).parameters)
        if found != wanted:
            yield f'{where}: wanted ({wanted}), found ({found})'


def check() -> None:
    """Refuse a Nova that has changed.

    :raises nova.exception.InvalidConfiguration: it has; names all that did
    """
    changed = list(drift())
    if changed:
        raise nova_exception.InvalidConfiguration(
            'nova-isolation does not fit this Nova, so guests would go '
            'unguarded. Install the release of nova-isolation that was made '
            'for it. Changed: ' + '; '.join(changed)
        )
