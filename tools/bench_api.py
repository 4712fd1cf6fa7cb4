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
"""Load nova-isolation-api: many clients ask explain about many hosts.

The service is a process of its own. It reads a cloud that is made up, anew
every few seconds, and checks each token with keystonemiddleware at a keystone
that is made up too; the rest is the service as operators run it. Each client
asks again as soon as it has its answer.

Prints latencies, requests, and the memory of the service. Ends with 1 where
the 99th percentile is above the limit, an answer is not about all hosts, or
the memory of the service has grown by more than a tenth after the first
quarter.

usage: PYTHONPATH=. .venv/bin/python tools/bench_api.py [--hosts N]
       [--clients N] [--flavors N] [--seconds N] [--max-p99 MILLISECONDS]
"""

import argparse
import asyncio
import contextlib
import importlib
import json
import multiprocessing
import os
import pathlib
import socket
import statistics
import sys
import tempfile
import time
import typing

from keystoneauth1 import fixture as ksa_fixture
from oslo_config import cfg
from starlette import applications
from starlette import requests
from starlette import responses
from starlette import routing

from nova_isolation.attestd import listener
from nova_isolation.service import app
from nova_isolation.service import keystone
from nova_isolation.service import picture_keeper
from tools import bench_report

# They are untyped, as all tests are.
_fakes: typing.Any = importlib.import_module('tests.unit.service.fakes')

_START_SECONDS = 120.0
_ANSWER_SECONDS = 60.0
_REFRESH_SECONDS = 5.0
_GROWTH = 1.10
_ARENAS = 'MALLOC_ARENA_MAX'
_WORDS = ('pie', 'relro', 'nx', 'canary', 'fortify', 'bindnow')


def _cloud(hosts: int, flavors: int) -> typing.Any:
    """A cloud in which a third of the hosts is refused."""
    kinds: tuple[dict[str, typing.Any], ...] = (
        {},
        {'mode': 'audit'},
        {'state': 'is down'},
        {},
        {'age': 400},
        {},
    )
    return _fakes.cloud(
        [
            _fakes.node(f'host{number:05}', **kinds[number % len(kinds)])
            for number in range(hosts)
        ],
        [
            _fakes.flavor(
                str(number),
                svirt='selinux',
                qemu_hardening=','.join(_WORDS[: number % len(_WORDS) + 1]),
            )
            for number in range(flavors)
        ],
    )


def _keystone(address: str) -> applications.Starlette:
    """A keystone that knows one reader of the system."""
    token = ksa_fixture.V3Token()
    token.set_system_scope()
    token.add_role(name='reader')
    token.add_service('identity').add_standard_endpoints(
        public=address, internal=address
    )

    async def discovery(request: requests.Request) -> responses.Response:
        return responses.JSONResponse(
            {'version': ksa_fixture.V3Discovery(address)}
        )

    async def tokens(request: requests.Request) -> responses.Response:
        return responses.JSONResponse(
            token, headers={'X-Subject-Token': 'made-up'}
        )

    return applications.Starlette(
        routes=[
            routing.Route('/v3', discovery),
            routing.Route('/v3/auth/tokens', tokens, methods=['GET', 'POST']),
        ]
    )


def _serve(
    served: socket.socket,
    asked: socket.socket,
    hosts: int,
    flavors: int,
    clients: int,
) -> None:
    """Serve until the process is ended."""
    port = asked.getsockname()[1]
    address = f'http://127.0.0.1:{port}/v3'
    path = pathlib.Path(os.environ['BENCH_CONFIG'])
    path.write_text(
        '[keystone_authtoken]\n'
        'auth_type = v3password\nusername = x\npassword = x\n'
        'user_domain_name = x\nproject_name = x\nproject_domain_name = x\n'
        f'auth_url = {address}\nwww_authenticate_uri = {address}\n',
        encoding='utf-8',
    )
    conf = cfg.ConfigOpts()
    conf(
        [],
        default_config_files=[str(path)],
        default_config_dirs=[],
    )
    keeper = picture_keeper.PictureKeeper(
        lambda: _cloud(hosts, flavors), _REFRESH_SECONDS, 120
    )
    keeper.start()

    def find_flavor(name: str) -> typing.Any:
        # As long as a question to a database nearby.
        time.sleep(0.002)
        return keeper.current()[0].flavor(name)

    parts = _fakes.parts(
        keeper=keeper,
        find_flavor=find_flavor,
        identify=keystone.Keystone(conf, 10).identify,
        max_limit=hosts,
    )

    async def run() -> None:
        await asyncio.gather(
            listener.Listener(_keystone(address), None, 100).serve([asked]),
            listener.Listener(app.make(parts), None, 2 * clients).serve(
                [served]
            ),
        )

    asyncio.run(run())


class _Client:
    """One connection, by which one question follows the other."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.seconds: list[float] = []
        self.body = b''

    async def connect(self) -> None:
        """Connect to the service."""
        self._reader, self._writer = await asyncio.open_connection(
            '127.0.0.1', self._port, limit=1 << 22
        )

    async def get(self, path: str) -> int:
        """Ask, and return the status of the answer."""
        began = time.monotonic()
        self._writer.write(
            f'GET {path} HTTP/1.1\r\nHost: bench\r\n'
            'X-Auth-Token: token-of-the-benchmark\r\n\r\n'.encode()
        )
        head = (await self._reader.readuntil(b'\r\n\r\n')).decode().lower()
        length = int(head.split('content-length: ')[1].split('\r')[0])
        self.body = await self._reader.readexactly(length)
        self.seconds.append(time.monotonic() - began)
        return int(head.split()[1])

    async def ask_until(self, end: float, flavors: int, first: int) -> None:
        """Ask for one flavor after the other."""
        number = first
        while time.monotonic() < end:
            status = await asyncio.wait_for(
                self.get(f'/v1/flavors/{number % flavors}/explain'),
                _ANSWER_SECONDS,
            )
            if status != 200:
                raise SystemExit(f'status {status}: {self.body[:500]!r}')
            number += 1


def _resident(pid: int) -> float:
    """The memory of a process, in MiB."""
    with open(f'/proc/{pid}/statm', encoding='ascii') as file:
        pages = int(file.read().split()[1])
    return pages * os.sysconf('SC_PAGESIZE') / 2**20


def _processor(pid: int) -> float:
    """The seconds that a process has used of a core."""
    with open(f'/proc/{pid}/stat', encoding='ascii') as file:
        fields = file.read().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


async def _load(
    given: argparse.Namespace, port: int, pid: int
) -> tuple[list[float], list[float]]:
    """The latencies in seconds, and the memory, measured once in a second."""
    clients = [_Client(port) for _ in range(given.clients)]
    first = _Client(port)
    await first.connect()
    end = time.monotonic() + _START_SECONDS
    while await first.get('/v1/flavors/0/explain') != 200:
        if time.monotonic() > end:
            raise SystemExit(f'no answer: {first.body[:500]!r}')
        await asyncio.sleep(0.2)
    found = json.loads(first.body)['explanation']
    if len(found['hosts']) != given.hosts or not found['counts']['refused']:
        raise SystemExit(f'not an answer about all hosts: {found["counts"]}')
    print(f'one answer has {len(first.body) / 1024:.0f} KiB')
    for client in clients:
        await client.connect()
    end = time.monotonic() + given.seconds
    memory = []

    async def watch() -> None:
        while time.monotonic() < end:
            memory.append(_resident(pid))
            await asyncio.sleep(1)

    await asyncio.gather(
        watch(),
        *(
            client.ask_until(end, given.flavors, number)
            for number, client in enumerate(clients)
        ),
    )
    return [s for client in clients for s in client.seconds], memory


def main() -> int:
    """Run the benchmark.

    :returns: 1 where the service is too slow or grows
    """
    parser = argparse.ArgumentParser(
        description=(__doc__ or '').partition('usage:')[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--hosts', type=int, default=1000)
    parser.add_argument('--clients', type=int, default=50)
    parser.add_argument('--flavors', type=int, default=10)
    parser.add_argument('--seconds', type=float, default=60)
    parser.add_argument('--max-p99', type=float, default=300)
    bench_report.add_argument(parser)
    given = parser.parse_args()
    if _ARENAS not in os.environ:
        # As the unit of the service has it; read when a process begins.
        os.execve(  # noqa: S606  # nosec B606
            sys.executable,
            [sys.executable, '-m', 'tools.bench_api', *sys.argv[1:]],
            {**os.environ, _ARENAS: '2'},
        )
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        os.environ['BENCH_CONFIG'] = os.path.join(folder, 'api.conf')
        served = stack.enter_context(
            contextlib.closing(listener.bind('127.0.0.1', 0))
        )
        asked = stack.enter_context(
            contextlib.closing(listener.bind('127.0.0.1', 0))
        )
        process = multiprocessing.get_context('fork').Process(
            target=_serve,
            args=(served, asked, given.hosts, given.flavors, given.clients),
            daemon=True,
        )
        process.start()
        stack.callback(process.kill)
        pid = process.pid or 0
        port = served.getsockname()[1]
        seconds, memory = asyncio.run(_load(given, port, pid))
        used = _processor(pid)
    quarter = memory[len(memory) // 4 :] or memory
    centiles = statistics.quantiles(seconds, n=100)
    print(
        f'{given.clients} clients, {given.hosts} hosts, {given.flavors} '
        f'flavors, {given.seconds:g} s, load {os.getloadavg()[0]:.1f}: '
        f'{len(seconds)} answers, p50 {centiles[49] * 1000:.0f} ms, p99 '
        f'{centiles[98] * 1000:.0f} ms, longest {max(seconds) * 1000:.0f} ms; '
        f'memory {quarter[0]:.0f} MiB after a quarter, {max(quarter):.0f} MiB '
        f'at most; {used / len(seconds) * 1000:.1f} ms of a core for each '
        'answer'
    )
    bench_report.finish(
        given.json,
        [
            bench_report.row('api', case, unit, values)
            for case, unit, values in (
                ('an answer', 'ms', [1000 * one for one in seconds]),
                (
                    '99 of 100 answers within',
                    'ms',
                    [1000 * centiles[98]],
                ),
                ('memory of the service', 'MiB', quarter),
            )
        ],
    )
    slow = centiles[98] * 1000 > given.max_p99
    grown = max(quarter) > quarter[0] * _GROWTH
    if slow:
        print(f'FAILED: p99 is above {given.max_p99:g} ms')
    if grown:
        print('FAILED: the memory has grown by more than a tenth')
    return int(slow or grown)


if __name__ == '__main__':
    sys.exit(main())
