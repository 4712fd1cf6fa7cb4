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

"""What an empty cloud needs before its services can work together."""

from openstack import connection

from lab.config import site as sites

_SERVICES = (
    ('nova', 'compute'),
    ('placement', 'placement'),
    ('glance', 'image'),
    ('neutron', 'network'),
)


def identity(cloud: connection.Connection, site: sites.Site) -> None:
    """Users of the services and the catalogue, in Keystone."""
    keystone = cloud.identity
    project = keystone.create_project(name='service', domain_id='default')
    # A service is trusted with the tokens of its callers by the second role.
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
        service = keystone.create_service(name=name, type=kind)
        for interface in ('public', 'internal'):
            keystone.create_endpoint(
                service_id=service.id,
                interface=interface,
                url=site.url(name),
                region_id=sites.REGION,
            )
