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

"""Configuration of Keystone, Placement, Glance and Neutron."""

from lab.config import ini
from lab.config import site as sites
from lab.run import layout as layouts


def keystone(site: sites.Site) -> ini.Settings:
    """keystone.conf."""
    data = site.layout.data / 'keystone'
    return {
        'database': {'connection': site.database('keystone')},
        'token': {'provider': 'fernet'},  # nosec B105
        'fernet_tokens': {'key_repository': str(data / 'fernet')},
        'credential': {'key_repository': str(data / 'credential')},
        # The minimum of bcrypt: these passwords are random and short-lived.
        'identity': {'password_hash_rounds': 4},  # nosec B105
        'cache': {'enabled': True, 'backend': 'dogpile.cache.memory'},
    }


def placement(site: sites.Site) -> ini.Settings:
    """placement.conf."""
    return {
        'api': {'auth_strategy': 'keystone'},
        'placement_database': {'connection': site.database('placement')},
        'keystone_authtoken': site.token_check('placement'),
    }


def glance(site: sites.Site) -> ini.Settings:
    """glance-api.conf."""
    data = site.layout.data / 'glance'
    paste = layouts.VENV / 'etc' / 'glance' / 'glance-api-paste.ini'
    return {
        'DEFAULT': {
            'enabled_backends': 'files:file',
            'enabled_import_methods': '[]',
            'use_keystone_limits': False,
            'worker_self_reference_url': site.url('glance'),
        },
        'glance_store': {'default_backend': 'files'},
        'files': {'filesystem_store_datadir': str(data / 'images')},
        'os_glance_tasks_store': {
            'filesystem_store_datadir': str(data / 'tasks')
        },
        'os_glance_staging_store': {
            'filesystem_store_datadir': str(data / 'staging')
        },
        'database': {'connection': site.database('glance')},
        'paste_deploy': {'flavor': 'keystone', 'config_file': str(paste)},
        'oslo_concurrency': {'lock_path': site.locks},
        'keystone_authtoken': site.token_check('glance'),
    }


def neutron(site: sites.Site) -> ini.Settings:
    """neutron.conf, for an API without networks.

    Nova asks Neutron about every server. The guests of the lab have no
    network (``--nic none``), so Neutron needs no mechanism driver and no
    agent.
    """
    paste = layouts.VENV / 'etc' / 'neutron' / 'api-paste.ini'
    return {
        'DEFAULT': {
            'core_plugin': 'ml2',
            'service_plugins': 'router,port_forwarding',
            'auth_strategy': 'keystone',
            'transport_url': site.transport,
            'state_path': str(site.layout.data / 'neutron'),
            'api_paste_config': str(paste),
            'notify_nova_on_port_status_changes': False,
            'notify_nova_on_port_data_changes': False,
            'dhcp_agent_notification': False,
            'rpc_workers': 0,
            'rpc_state_report_workers': 0,
        },
        'ml2': {
            'type_drivers': 'local,flat',
            'tenant_network_types': 'local',
            'mechanism_drivers': '',
        },
        'database': {'connection': site.database('neutron')},
        'oslo_concurrency': {'lock_path': site.locks},
        'oslo_messaging_notifications': {'driver': 'noop'},
        'keystone_authtoken': site.token_check('neutron'),
        'nova': site.client('nova'),
        'placement': site.client('placement'),
    }
