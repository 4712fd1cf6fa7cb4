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

"""Configuration of nova-isolation-api, the service for operators."""

from lab.config import ini
from lab.config import nova_conf
from lab.config import site as sites


def isolation_api(site: sites.Site, our_filter: bool) -> ini.Settings:
    """nova-isolation-api.conf.

    Its accounts of MariaDB and RabbitMQ are its own, and only read. Those of
    the cells come from here too: the URLs of the lab's cells are templates.

    :param our_filter: whether the scheduler runs this project's filter
    """
    user = sites.OPERATOR_API
    return {
        'DEFAULT': {'transport_url': site.operator_transport},
        'api_database': {'connection': site.operator_database('nova_api')},
        'database': {'connection': site.operator_database('nova_cell1')},
        'oslo_messaging_notifications': {'driver': 'noop'},
        'oslo_concurrency': {'lock_path': site.locks},
        'keystone_authtoken': {
            **site.token_check(user),
            'service_type': user,
        },
        'placement': site.client(user),
        # The audit looks whether the filter is in use.
        'filter_scheduler': {
            'enabled_filters': nova_conf.enabled_filters(our_filter)
        },
        'isolation_api': {
            'bind': sites.LOCALHOST,
            'port': site.ports['isolation'],
            # Tests would wait for the default, 20 s.
            'refresh_interval': 2,
            'metrics_listen': (
                f'{sites.LOCALHOST}:{site.ports["isolation-metrics"]}'
            ),
        },
    }
