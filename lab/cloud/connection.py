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

"""Connections to a lab for its administrator, at a fixed microversion."""

from keystoneauth1 import session as sessions
from keystoneauth1.identity import v3
from openstack import connection
import requests

from lab.config import site as sites

#: The lab's callers need no newer microversion. Since 2.86 Nova validates
#: flavor extra specs.
COMPUTE_MICROVERSION = '2.96'


def connect(site: sites.Site) -> connection.Connection:
    """A connection of openstacksdk, for the administrator."""
    # A proxy of the environment must not be used for 127.0.0.1.
    transport = requests.Session()
    transport.trust_env = False
    auth = v3.Password(
        auth_url=site.url('keystone'),
        username='admin',
        password=site.passwords['admin'],
        project_name='admin',
        user_domain_id='default',
        project_domain_id='default',
    )
    return connection.Connection(
        session=sessions.Session(auth=auth, session=transport, timeout=60),
        region_name=sites.REGION,
        compute_default_microversion=COMPUTE_MICROVERSION,
    )


def environment(site: sites.Site) -> dict[str, str]:
    """The environment variables for the ``openstack`` command."""
    return {
        'OS_AUTH_URL': site.url('keystone'),
        'OS_USERNAME': 'admin',
        'OS_PASSWORD': site.passwords['admin'],
        'OS_PROJECT_NAME': 'admin',
        'OS_USER_DOMAIN_ID': 'default',
        'OS_PROJECT_DOMAIN_ID': 'default',
        'OS_IDENTITY_API_VERSION': '3',
        'OS_REGION_NAME': sites.REGION,
        'OS_COMPUTE_API_VERSION': COMPUTE_MICROVERSION,
        'no_proxy': sites.LOCALHOST,
    }
