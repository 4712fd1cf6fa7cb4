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

"""What Placement knows about a compute host."""

from openstack import connection

_MICROVERSION = '1.39'
#: How a trait begins that each host has which has measured itself.
_MEASURED = 'CUSTOM_ISOLATION_HYPERVISOR_'


def traits(api: connection.Connection, host: str) -> frozenset[str]:
    """The traits of a host.

    :param host: the name of the compute service, and of its node
    """
    placement = api.placement
    (provider,) = placement.get(
        f'/resource_providers?name={host}', microversion=_MICROVERSION
    ).json()['resource_providers']
    answer = placement.get(
        f'/resource_providers/{provider["uuid"]}/traits',
        microversion=_MICROVERSION,
    )
    return frozenset(answer.json()['traits'])


def is_measured(api: connection.Connection, host: str) -> bool:
    """Whether a host offers what it has measured since its start.

    Until the first measurement of nova-compute has finished, which runs sudo
    and QEMU, the host has no trait of a mechanism, and tagged guests are
    refused there.

    :param host: the name of a compute service with the driver
    """
    return any(name.startswith(_MEASURED) for name in traits(api, host))
