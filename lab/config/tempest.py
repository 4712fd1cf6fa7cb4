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

"""Configuration of Tempest, for the features that a lab has."""

from lab.config import host_specs
from lab.config import ini
from lab.config import nova_conf
from lab.config import site as sites


def tempest(
    site: sites.Site, image: str, flavors: tuple[str, str]
) -> ini.Settings:
    """tempest.conf.

    A lab has no volumes and no consoles, and nobody can log in to its
    guests.

    :param image: id of the image of the guests
    :param flavors: ids of a flavor and of a larger one
    """
    filters = nova_conf.control(site, our_filter=False)['filter_scheduler']
    return {
        'DEFAULT': {'log_file': str(site.layout.log / 'tempest-api.log')},
        'oslo_concurrency': {'lock_path': site.locks},
        'auth': {
            'admin_username': 'admin',
            'admin_password': site.passwords['admin'],
            'admin_project_name': 'admin',
            'admin_domain_name': 'Default',
            # Then Nova finds no network, and makes guests without one.
            'create_isolated_networks': False,
        },
        'identity': {
            'uri_v3': site.url('keystone'),
            'region': sites.REGION,
        },
        'compute': {
            'image_ref': image,
            'image_ref_alt': image,
            'flavor_ref': flavors[0],
            'flavor_ref_alt': flavors[1],
            'min_compute_nodes': 2,
            'max_microversion': 'latest',
            # Guests are emulated, and two tests run at once.
            'build_timeout': 300,
        },
        'compute-feature-enabled': {
            'resize': True,
            'block_migration_for_live_migration': True,
            'interface_attach': False,
            'metadata_service': False,
            'scheduler_enabled_filters': filters['enabled_filters'],
        },
        'service_available': {
            'cinder': False,
            'horizon': False,
            'swift': False,
        },
        'validation': {'run_validation': False},
    }


def plugin() -> ini.Settings:
    """What tempest.conf has for the plugin of this project.

    It describes what the default hosts of a lab offer.
    """
    hardened, _ = host_specs.DEFAULT
    return {
        'isolation': {
            'partial_extra_specs': 'isolation:qemu_sandbox=true',
            'partial_hosts': hardened,
            # The guests of the lab are emulated.
            'forced_extra_specs': 'isolation:hypervisor=kvm,xen',
        }
    }
