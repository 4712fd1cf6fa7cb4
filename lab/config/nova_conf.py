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

"""Configuration of Nova: the control plane, and each compute host."""

from collections.abc import Iterable

from lab.config import edpm
from lab.config import host_specs
from lab.config import ini
from lab.config import kolla
from lab.config import site as sites
from lab.machine import lan
from lab.machine import recipe

_FILTERS = (
    'ComputeFilter',
    'ComputeCapabilitiesFilter',
    'ImagePropertiesFilter',
)


def control(site: sites.Site, our_filter: bool) -> ini.Settings:
    """nova.conf of nova-api, nova-scheduler and nova-conductor.

    :param our_filter: whether the scheduler runs this project's filter
    """
    filters: dict[str, ini.Value] = {
        'enabled_filters': enabled_filters(our_filter)
    }
    if our_filter:
        filters['available_filters'] = [
            'nova.scheduler.filters.all_filters',
            'nova_isolation.scheduler.filter.IsolationFilter',
        ]
    return ini.merge(
        _common(site),
        {
            'DEFAULT': {'state_path': str(site.layout.data / 'nova')},
            'api': {
                'auth_strategy': 'keystone',
                'vendordata_providers': 'StaticJSON,DynamicJSON',
                'vendordata_dynamic_targets': (
                    f'isolation@{site.url(sites.OPERATOR_API)}/v1/vendordata'
                ),
            },
            'vendordata_dynamic_auth': site.client('nova'),
            'api_database': {'connection': site.database('nova_api')},
            'database': {'connection': site.database('nova_cell1')},
            'conductor': {'workers': 1},
            'scheduler': {'workers': 1, 'discover_hosts_in_cells_interval': 2},
            'filter_scheduler': filters,
            'keystone_authtoken': site.token_check('nova'),
        },
    )


def enabled_filters(our_filter: bool) -> str:
    """[filter_scheduler] enabled_filters.

    :param our_filter: see control()
    """
    return ','.join((*_FILTERS, 'IsolationFilter') if our_filter else _FILTERS)


def cell0(site: sites.Site) -> ini.Settings:
    """nova.conf of cell0, where it differs from that of the control plane."""
    return {'database': {'connection': site.database('nova_cell0')}}


def compute(site: sites.Site, spec: host_specs.HostSpec) -> ini.Settings:
    """nova.conf of one compute host."""
    return ini.merge(
        _compute(site, spec),
        {
            'libvirt': {
                # %s is the destination's host name. With [libvirt]
                # live_migration_inbound_addr it would be that address.
                'live_migration_uri': (
                    'qemu+unix:///system'
                    f'?socket={site.layout.host("%s").socket}'
                ),
            },
        },
        spec.settings,
    )


def patience(specs: Iterable[host_specs.HostSpec]) -> ini.Settings:
    """How old facts may be, for the services that decide about guests.

    The default is three of Nova's periods. The host with Xen may need one of
    them to measure itself, and several where this machine is busy.
    """
    if any(spec.machine == 'xen' for spec in specs):
        return {'isolation': {'facts_max_age': 900}}
    return {}


def machine_compute(
    site: sites.Site, spec: host_specs.HostSpec
) -> ini.Settings:
    """nova.conf of a compute host that is a machine of its own."""
    site = site.seen_from_machine()
    return ini.merge(
        _compute(site, spec),
        {
            'DEFAULT': {
                'my_ip': recipe.ADDRESS,
                'reserved_host_memory_mb': 256,
                # Nova's default is a minute. Tests switch the security module
                # off and on, and wait for the facts of the host.
                'update_resources_interval': 15,
                # Nova's default is 64 threads, each of which looks for work
                # every second: a third of an emulated processor.
                'executor_thread_pool_size': 8,
            },
        },
        {}
        if spec.lan is None
        else {
            'libvirt': {'live_migration_inbound_addr': lan.address(spec.lan)}
        },
        # The service catalogue has addresses that the virtual machine
        # cannot reach.
        {
            service: {'endpoint_override': site.url(service)}
            for service in ('placement', 'glance', 'neutron', 'keystone')
        },
        spec.settings,
    )


def _compute(site: sites.Site, spec: host_specs.HostSpec) -> ini.Settings:
    """The options that all compute hosts have."""
    return ini.merge(
        _contained(spec),
        _common(site),
        {
            'DEFAULT': {
                'host': spec.name,
                'compute_driver': spec.driver,
                'state_path': str(recipe.STATE),
                # Live migration needs the same path on all hosts.
                'instances_path': str(recipe.INSTANCES),
                'reserved_host_memory_mb': 512,
                'reserved_host_disk_mb': 0,
                'reserved_host_cpus': 0,
                'cpu_allocation_ratio': 8,
                'ram_allocation_ratio': 2,
                'vif_plugging_is_fatal': False,
                'vif_plugging_timeout': 0,
                'force_config_drive': False,
                # By default Nova looks every 30 minutes for guests of deleted
                # servers, which a fault left behind.
                'running_deleted_instance_poll_interval': 15,
                # The lab's guest ignores its power button; Nova would wait
                # 60 s for it.
                'shutdown_timeout': 5,
            },
            'libvirt': {
                'cpu_mode': 'none',
                'images_type': 'raw',
            },
            # A live migration inspects the kernel image, which a boot does
            # not, and mistakes a Linux kernel for a partitioned disk.
            'workarounds': {'disable_deep_image_inspection': True},
            'oslo_concurrency': {'lock_path': str(recipe.STATE / 'locks')},
        },
        # nova-compute refuses 'xen' before its driver could allow it.
        {} if spec.machine == 'xen' else {'libvirt': {'virt_type': 'qemu'}},
        spec.isolation,
    )


def _contained(spec: host_specs.HostSpec) -> ini.Settings:
    """What a deployer of containers adds, for this project, to nova.conf."""
    if spec.layout == 'host' or not spec.guarded:
        return {}
    if spec.machine is None:
        return kolla.nova_compute()
    return edpm.nova_compute()


def _common(site: sites.Site) -> ini.Settings:
    return {
        'DEFAULT': {
            'my_ip': sites.LOCALHOST,
            'transport_url': site.transport,
            'graceful_shutdown_timeout': 2,
            'manager_shutdown_timeout': 0,
            # By default a periodic task, such as the discovery of hosts,
            # first runs after up to 60 s.
            'periodic_fuzzy_delay': 0,
        },
        'oslo_concurrency': {'lock_path': site.locks},
        'oslo_messaging_notifications': {'driver': 'noop'},
        'vnc': {'enabled': False},
        'service_user': {
            **site.client('nova'),
            'send_service_user_token': True,
        },  # nosec B105
        'placement': site.client('placement'),
        'glance': site.client('nova'),
        'neutron': site.client('neutron'),
        'cinder': site.client('nova'),
        'keystone': site.client('nova'),
    }
