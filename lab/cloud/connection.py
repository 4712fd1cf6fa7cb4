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

"""Connections to a lab for each of its users, at a fixed microversion."""

from typing import Any

from keystoneauth1 import session as sessions
from keystoneauth1.identity import v3
from openstack import connection
import requests

from lab.config import site as sites

#: The lab's callers need no newer microversion. Since 2.86 Nova validates
#: flavor extra specs.
COMPUTE_MICROVERSION = '2.96'


def connect(
    site: sites.Site, user: str = sites.ADMIN
) -> connection.Connection:
    """A connection of openstacksdk.

    :param user: sites.ADMIN, AUDITOR, OWNER or STRANGER
    """
    # A proxy of the environment must not be used for 127.0.0.1.
    transport = requests.Session()
    transport.trust_env = False
    auth = v3.Password(
        auth_url=site.url('keystone'),
        username=user,
        password=site.passwords[user],
        user_domain_id='default',
        **_scope(user),
    )
    return connection.Connection(
        session=sessions.Session(auth=auth, session=transport, timeout=60),
        region_name=sites.REGION,
        compute_default_microversion=COMPUTE_MICROVERSION,
    )


def environment(site: sites.Site, user: str = sites.ADMIN) -> dict[str, str]:
    """The environment variables for the ``openstack`` command.

    :param user: as for connect()
    """
    return {
        'OS_AUTH_URL': site.url('keystone'),
        'OS_USERNAME': user,
        'OS_PASSWORD': site.passwords[user],
        'OS_USER_DOMAIN_ID': 'default',
        **{
            f'OS_{name.upper()}': value for name, value in _scope(user).items()
        },
        'OS_IDENTITY_API_VERSION': '3',
        'OS_REGION_NAME': sites.REGION,
        'OS_COMPUTE_API_VERSION': COMPUTE_MICROVERSION,
        'no_proxy': sites.LOCALHOST,
    }


def _scope(user: str) -> dict[str, Any]:
    """What a user logs in to: the system, or the project of that name."""
    if user == sites.AUDITOR:
        return {'system_scope': 'all'}
    return {'project_name': user, 'project_domain_id': 'default'}
