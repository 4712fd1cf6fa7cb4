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

"""Finds what deleted guests have left behind."""

from collections.abc import Iterator
import re
from typing import Any
import uuid

from openstack import connection

from lab.cloud import cloud as clouds
from lab.run import errors
from lab.run import processes

#: Nova cleans up after it has deleted the server, and looks for guests of
#: deleted servers every 15 s (lab.config.nova_conf).
_SECONDS = 400


def check(cloud: clouds.Cloud, api: connection.Connection) -> None:
    """Wait until everything that exists belongs to a server.

    :raises LabError: when something does not; the message names all of it
    """
    try:
        cloud.supervisor.wait(
            'no leaks', lambda: not list(_found(cloud, api)), _SECONDS, every=1
        )
    except errors.LabError as error:
        left = '; '.join(_found(cloud, api))
        if left:
            raise errors.LabError(f'left behind: {left}') from error


def _found(cloud: clouds.Cloud, api: connection.Connection) -> Iterator[str]:
    """Things without their server, and servers without their domain."""
    there = list(_things(cloud, api))
    # Servers are listed last, so that a server which is made meanwhile does
    # not seem to be missing.
    servers = {
        str(one.id): one for one in api.compute.servers(all_projects=True)
    }
    for kind, host, owner in there:
        server = servers.get(owner)
        if server is None:
            yield f'{kind} of {owner} on {host}'
        elif host and server.compute_host != host:
            yield f'{kind} of {owner} on {host}, not {server.compute_host}'
    domains = {
        (host, owner) for kind, host, owner in there if kind == 'domain'
    }
    for owner, server in servers.items():
        if (
            server.status == 'ACTIVE'
            and server.compute_host in _local(cloud)
            and (server.compute_host, owner) not in domains
        ):
            yield f'no domain of {owner} on {server.compute_host}'


def _things(
    cloud: clouds.Cloud, api: connection.Connection
) -> Iterator[tuple[str, str, str]]:
    """All things of guests: kind, host ('' without one) and server id."""
    for host in _local(cloud):
        there = cloud.hosts[host]
        for owner in there.virsh(
            cloud.supervisor, 'list', '--all', '--uuid'
        ).split():
            yield 'domain', host, owner
        for folder in cloud.layout.host(host).instances.iterdir():
            if _is_uuid(folder.name):
                yield 'folder', host, folder.name
    for command in processes.belonging(cloud.layout).values():
        guest = re.search(r' -uuid (\S+)', command)
        if guest:
            yield 'QEMU', '', guest[1]
    placement = api.placement
    for provider in _get(placement, '/resource_providers')[
        'resource_providers'
    ]:
        path = f'/resource_providers/{provider["uuid"]}/allocations'
        for owner in _get(placement, path)['allocations']:
            yield 'allocation', provider['name'], owner
    for port in api.network.ports():
        if str(port.device_owner).startswith('compute:'):
            yield 'port', '', port.device_id


def _get(service: Any, path: str) -> dict[str, Any]:
    answer = service.get(path, microversion='1.39')
    answer.raise_for_status()
    return dict(answer.json())


def _local(cloud: clouds.Cloud) -> list[str]:
    """The hosts that are not virtual machines."""
    return [
        host
        for host in cloud.hosts
        if cloud.layout.host(host).instances.is_dir()
    ]


def _is_uuid(name: str) -> bool:
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False
