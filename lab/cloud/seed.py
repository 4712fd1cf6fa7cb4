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

"""The contents that Keystone needs before the services can cooperate."""

from typing import Any

from openstack import connection

from lab.config import site as sites

_SERVICES = (
    ('nova', 'compute'),
    ('placement', 'placement'),
    ('glance', 'image'),
    ('neutron', 'network'),
)


def identity(cloud: connection.Connection, site: sites.Site) -> None:
    """Create the users of the services, and the service catalogue."""
    keystone = cloud.identity
    project = keystone.create_project(name='service', domain_id='default')
    # With the role "service" a service may pass on the tokens of its callers.
    roles = [
        keystone.find_role(name) or keystone.create_role(name=name)
        for name in ('admin', 'service')
    ]
    for name in sites.SERVICE_USERS:
        user = keystone.create_user(
            name=name, password=site.passwords[name], domain_id='default'
        )
        for role in roles:
            keystone.assign_project_role_to_user(project, user, role)
    for name, kind in _SERVICES:
        _catalogue(cloud, site, name, kind)


def operators(cloud: connection.Connection, site: sites.Site) -> None:
    """Create the users of nova-isolation-api and those who ask it.

    identity() comes first.
    """
    keystone = cloud.identity

    def user(name: str) -> Any:
        return keystone.create_user(
            name=name, password=site.passwords[name], domain_id='default'
        )

    # It has to check tokens and to read Placement, for which the role
    # "service" is enough. It is no administrator.
    keystone.assign_project_role_to_user(
        keystone.find_project('service'),
        user(sites.OPERATOR_API),
        keystone.find_role('service'),
    )
    _catalogue(cloud, site, sites.OPERATOR_API, sites.OPERATOR_API)
    keystone.assign_system_role_to_user(
        user(sites.AUDITOR), keystone.find_role('reader'), 'all'
    )
    for name in (sites.OWNER, sites.STRANGER):
        keystone.assign_project_role_to_user(
            keystone.create_project(name=name, domain_id='default'),
            user(name),
            keystone.find_role('member'),
        )


def _catalogue(
    cloud: connection.Connection, site: sites.Site, name: str, kind: str
) -> None:
    """Create a service, and its endpoints."""
    service = cloud.identity.create_service(name=name, type=kind)
    for interface in ('public', 'internal'):
        cloud.identity.create_endpoint(
            service_id=service.id,
            interface=interface,
            url=site.url(name),
            region_id=sites.REGION,
        )
