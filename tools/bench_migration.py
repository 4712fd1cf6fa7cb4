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

"""Measure how long a guest stands still in a live migration.

The bench uses two compute hosts of the lab, with real QEMU and libvirt. A
tagged and an untagged guest are migrated in turn, there and back. The time is
that from libvirt's event on the source that the guest was suspended to the
event on the destination that the guest was resumed, both by the clock of this
process. Goal: the median of the tagged guest is at most 25 ms above that of
the untagged one.

A tagged guest that is not resumed at its arrival is resumed by Nova's step,
which is much later. The log of the destination says which it was; how many of
all migrations were such ones is a row of its own.

In a cloud with Keylime one more guest needs an attested host.
"""

import argparse
import contextlib
from pathlib import Path
import tempfile
import threading
import time
import typing

import libvirt

from lab.cloud import cloud as clouds
from lab.daemons import nova
from lab.guests import guests
from lab.run import errors
from lab.run import signals
from tools import attested_cloud
from tools import bench_report
from tools import nova_log

_NAME = 'migration'
_SPECS = ('isolation:hypervisor=qemu', 'isolation:qemu_hardening=pie')
_MICROVERSION = '2.96'
_SECONDS = 400.0
_EVERY = 0.3
#: What nova-compute logs of a guest that it resumes at its arrival.
_AT_ARRIVAL = 'verified again and resumed within'


class Events:
    """The moments at which libvirt suspended and resumed guests."""

    def __init__(self, uris: typing.Mapping[str, str]) -> None:
        """:param uris: name of a host -> how libvirt is reached there"""
        self._found: list[tuple[str, str, int, float]] = []
        libvirt.virEventRegisterDefaultImpl()
        self._connections = []
        for host, uri in uris.items():
            connection = libvirt.open(uri)
            connection.domainEventRegisterAny(
                None,
                libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                self._add,
                host,
            )
            self._connections.append(connection)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            libvirt.virEventRunDefaultImpl()

    def _add(
        self, _: object, domain: typing.Any, event: int, detail: int, host: str
    ) -> None:
        self._found.append(
            (host, domain.UUIDString(), event, time.monotonic())
        )

    def forget(self) -> None:
        """Forget the events so far."""
        self._found.clear()

    def stand_still(self, uuid: str, source: str, destination: str) -> float:
        """Milliseconds for which a guest executed nowhere.

        :raises LabError: the events are not all there
        """
        suspended = [
            at
            for host, guest, event, at in self._found
            if (host, guest, event)
            == (source, uuid, libvirt.VIR_DOMAIN_EVENT_SUSPENDED)
        ]
        resumed = [
            at
            for host, guest, event, at in self._found
            if (host, guest, event)
            == (destination, uuid, libvirt.VIR_DOMAIN_EVENT_RESUMED)
        ]
        if not suspended or not resumed:
            raise errors.LabError(
                f'guest {uuid} was not seen to go from {source} to '
                f'{destination}: {self._found}'
            )
        return 1e3 * (resumed[-1] - suspended[0])


class Bench:
    """Migrates guests between two hosts of a cloud."""

    def __init__(self, cloud: clouds.Cloud) -> None:
        """:param cloud: a cloud that runs"""
        self._cloud = cloud
        self._guests = guests.Guests(cloud)
        self._api = self._guests.api
        self._hosts = tuple(cloud.hosts)[:2]
        self._events = Events(
            {name: cloud.layout.host(name).uri for name in self._hosts}
        )

    def run(
        self,
        rounds: int,
        kinds: typing.Mapping[str, typing.Mapping[str, str]],
    ) -> list[bench_report.Row]:
        """Migrate a guest of each kind so often.

        :param kinds: the kind of guest -> the extra specs of its flavor; the
            first is untagged
        """
        with contextlib.ExitStack() as cleanup:
            servers = {
                kind: self._boot(cleanup, specs)
                for kind, specs in kinds.items()
            }
            taken: dict[str, list[float]] = {kind: [] for kind in servers}
            late = dict.fromkeys(servers, 0)
            for number in range(rounds):
                for kind, server in servers.items():
                    milliseconds, at_arrival = self._migrate(server, number)
                    taken[kind].append(milliseconds)
                    late[kind] += not at_arrival
        untagged, *tagged = kinds
        return [
            *bench_report.rows(_NAME, 'ms', taken, untagged),
            *(
                bench_report.row(
                    _NAME,
                    f'{kind}, not resumed at arrival',
                    f'of {rounds}',
                    [late[kind]],
                )
                for kind in tagged
            ),
        ]

    def _boot(
        self,
        cleanup: contextlib.ExitStack,
        specs: typing.Mapping[str, str],
    ) -> typing.Any:
        name = f'bench-migration-{time.time_ns()}'
        flavor = self._guests.flavor(name, dict(specs))
        cleanup.callback(self._api.compute.delete_flavor, flavor)
        server = self._guests.boot(name, flavor.id, host=self._hosts[0])
        cleanup.callback(self._guests.delete, server)
        if server.status != 'ACTIVE':
            raise errors.LabError(f'{name}: {server.fault}')
        self._guests.wait_console(server)
        return server

    def _migrate(self, server: typing.Any, number: int) -> tuple[float, bool]:
        """Migrate a guest there or back.

        :returns: the milliseconds for which it stood still, and whether it was
            resumed at its arrival
        """
        source = self._hosts[number % 2]
        destination = self._hosts[(number + 1) % 2]
        log = self._cloud.layout.log / f'{nova.compute_name(destination)}.log'
        before = len(nova_log.times(log, server.id, _AT_ARRIVAL))
        self._events.forget()
        answer = self._api.compute.post(
            f'/servers/{server.id}/action',
            json={
                'os-migrateLive': {
                    'host': destination,
                    'block_migration': 'auto',
                }
            },
            microversion=_MICROVERSION,
        )
        answer.raise_for_status()

        def arrived() -> bool:
            found = self._api.compute.get_server(server.id)
            here = (found.compute_host, found.status)
            return here == (destination, 'ACTIVE')

        self._cloud.supervisor.wait(
            f'{server.name} on {destination}', arrived, _SECONDS, every=_EVERY
        )
        return (
            self._events.stand_still(server.id, source, destination),
            len(nova_log.times(log, server.id, _AT_ARRIVAL)) > before,
        )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--pairs', type=int, default=20)
    parser.add_argument(
        '--state',
        type=Path,
        help='the state folder of a lab that runs; default: one is started',
    )
    parser.add_argument(
        '--paused-arrival',
        action='store_true',
        help='with [isolation] resume_at_arrival = False, the default of '
        'nova-compute',
    )
    bench_report.add_argument(parser)
    parser.add_argument(
        'specs',
        nargs='*',
        default=_SPECS,
        metavar='KEY=VALUE',
        help="the extra specs of the tagged guest's flavor "
        f'(default: {" ".join(_SPECS)})',
    )
    options = parser.parse_args()
    with contextlib.ExitStack() as cleanup:
        cleanup.enter_context(signals.termination_raises())
        cloud = _cloud(cleanup, options.state)
        if not options.paused_arrival:
            for host in cloud.hosts:
                daemon = nova.compute_name(host)
                if options.state:
                    cleanup.callback(cloud.restart, daemon)
                cloud.restart(
                    daemon, {'isolation': {'resume_at_arrival': 'True'}}
                )
        kinds = {
            'untagged': {},
            'tagged': dict(spec.split('=', 1) for spec in options.specs),
        }
        if cloud.attested:
            attested_cloud.trust(cloud)
            kinds['attested'] = {**kinds['tagged'], **attested_cloud.SPECS}
        found = Bench(cloud).run(options.pairs, kinds)
    bench_report.finish(options.json, found)


def _cloud(cleanup: contextlib.ExitStack, state: Path | None) -> clouds.Cloud:
    if state:
        return clouds.Cloud.attach(state)
    folder = cleanup.enter_context(
        tempfile.TemporaryDirectory(prefix='nova-isolation-')
    )
    return cleanup.enter_context(clouds.Cloud(Path(folder) / 'lab'))


if __name__ == '__main__':
    main()
