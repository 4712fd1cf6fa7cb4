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

"""What is left of guests that are no more."""

from collections.abc import Iterator
import re
from typing import Any
import uuid

from openstack import connection

from lab.cloud import cloud as clouds
from lab.run import errors
from lab.run import processes

#: Nova undoes some things after the server is gone; for the guests of deleted
#: servers it looks every 15 s (lab.config.nova).
_SECONDS = 180


def check(cloud: clouds.Cloud, api: connection.Connection) -> None:
    """Wait until what there is belongs to a server.

    :raises LabError: something does not; all that does not is named
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
    """Whatever is there without its server, or a server without it."""
    there = list(_things(cloud, api))
    # Not before: a server may be made meanwhile, and must not seem strange.
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
    """What there is: its kind, its host ('' where it has none), its owner."""
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
    """The hosts whose folders are those of this machine."""
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
