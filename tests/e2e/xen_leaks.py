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

"""Finds what guests that ended have left behind on a host with Xen."""

from collections.abc import Collection
from collections.abc import Iterator
import json
from pathlib import Path

from openstack import connection

from lab.cloud import cloud as clouds
from lab.machine import recipe as machine
from lab.machine import ssh as connections
from lab.xen import driver_domain
from lab.xen import recipe
from tests.e2e import xen_things

#: See tests.e2e.leaks.
_SECONDS = 400
#: Kinds of things that have the number of a domain.
_NUMBERED = ('domain', 'grants', 'process', 'userdata', 'xenstore')
_DOM0 = 'Domain-0'
_OWN = (_DOM0, driver_domain.NAME)


def check(
    cloud: clouds.Cloud, ssh: connections.Ssh, api: connection.Connection
) -> None:
    """Wait until everything on the host belongs to a server.

    :param ssh: the connection to dom0
    :raises LabError: when something does not; the message names all of it
    """
    left: list[str] = []

    def clean() -> bool:
        left[:] = found(ssh, api)
        return not left

    cloud.supervisor.wait(
        'no leaks on the host with Xen',
        clean,
        _SECONDS,
        every=2,
        instead=lambda: '; '.join(left),
    )


def found(ssh: connections.Ssh, api: connection.Connection) -> list[str]:
    """What belongs to no server.

    :param ssh: the connection to dom0
    """
    there = things(ssh)
    # Servers are listed last, so that a server which is made meanwhile does
    # not seem to be missing.
    servers = {
        str(one.instance_name): str(one.id)
        for one in api.compute.servers(all_projects=True)
    }
    return list(strangers(there, servers))


def things(ssh: connections.Ssh) -> list[xen_things.Thing]:
    """All things of guests on the host; see tests.e2e.xen_things."""
    program = Path(xen_things.__file__).read_text('utf-8')
    printed = ssh.check(
        ['python3', '-', machine.INSTANCES, recipe.CONSOLES], text=program
    )
    return [
        (str(kind), str(owner), str(what))
        for kind, owner, what in json.loads(printed)
    ]


def strangers(
    there: Collection[xen_things.Thing], servers: dict[str, str]
) -> Iterator[str]:
    """What belongs to no server.

    :param there: see things()
    :param servers: the UUIDs of the servers, by the names of their domains
    """
    numbers = {
        owner
        for kind, owner, what in there
        if kind == 'domain' and what in (*_OWN, *servers)
    }
    owners = {*_OWN, *servers, *servers.values(), *numbers}
    for kind, owner, what in there:
        if owner not in owners:
            yield f'{kind} {owner}: {what}'
