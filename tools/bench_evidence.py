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
"""Load the log of statements: how many it takes in a second.

The log is served by a process of its own, over TLS and from a database, as
nova-isolation-attestd does. Each client sends the statements of one host in
batches, signed by a key of its own; all were signed before the time is taken.
The verdicts about the hosts are made up.

Prints the rate, the processor time of the server, the size of an entry in the
database, and the time of proofs. Ends with 1 where a statement was not taken,
a receipt does not hold, or the rate is below the limit.

usage: .venv/bin/python -m tools.bench_evidence [--statements N] [--hosts N]
       [--batch N] [--database URL] [--min-rate N] [--json FILE]
"""

import argparse
import asyncio
import importlib
import multiprocessing
import os
import pathlib
import socket
import sys
import tempfile
import threading
import time
import types
import typing

import requests

from nova_isolation.attestation import provider
from nova_isolation.attestation import refresher
from nova_isolation.attestation import snapshot
from nova_isolation.attestd import listener
from nova_isolation.attestd.evidence import api
from nova_isolation.attestd.evidence import enrollment
from nova_isolation.attestd.evidence import intake
from nova_isolation.attestd.evidence import keyring
from nova_isolation.attestd.evidence import log
from nova_isolation.attestd.evidence import standing
from nova_isolation.attestd.evidence import store
from nova_isolation.evidence import envelope
from nova_isolation.evidence import receipt as receipts
from nova_isolation.evidence import statement as statements
from nova_isolation.evidence import strict_json
from tools import bench_report

# They are untyped, as all tests are.
_hosts: typing.Any = importlib.import_module(
    'tests.unit.attestd.evidence.hosts'
)
_pki: typing.Any = importlib.import_module('tests.unit.https.pki')
_samples: typing.Any = importlib.import_module('tests.unit.evidence.samples')

_SECONDS = 300.0
_CLIENTS = 4


class _Provider(provider.Provider):
    """All hosts are in good standing."""

    def __init__(self, hosts: int) -> None:
        self._known = snapshot.Snapshot(
            verdicts=types.MappingProxyType(
                {
                    f'host{number}': _hosts.verdict(f'agent{number}')
                    for number in range(hosts)
                }
            )
        )

    def fetch(self, before: snapshot.Snapshot) -> snapshot.Snapshot:
        return self._known


def _serve(
    served: socket.socket,
    url: str,
    hosts: int,
    signer: typing.Any,
    pki: typing.Any,
) -> None:
    """Serve the log until the process is ended."""
    known = refresher.Refresher(_Provider(hosts), max_age=3600, clock_skew=5)
    known.refresh()
    stored = store.Store(url)
    kept = log.Log(stored, signer)
    ring = keyring.Keyring(stored)
    standings = standing.Standings(known)
    answers = api.Api(
        kept,
        intake.Intake(kept, ring, standings, max_delay=3600, clock_skew=5),
        enrollment.Enrollment(ring, standings, None, [17]),
    )
    certificate, ca_file = pki
    context = listener.tls(
        certificate.cert_file, certificate.key_file, ca_file
    )
    asyncio.run(listener.Listener(answers.app(), context, 100).serve([served]))


def _sealed(
    number: int, count: int, batch: int
) -> tuple[typing.Any, list[bytes]]:
    """The key of a host, and batches of its statements."""
    signer = _samples.signer()
    bodies = []
    for first in range(0, count, batch):
        envelopes = [
            envelope.seal(
                _hosts.statement(
                    host=statements.Host(
                        f'host{number}', 'fa' * 32, f'agent{number}', 3
                    )
                ),
                signer,
            )
            for _ in range(first, min(first + batch, count))
        ]
        bodies.append(b'{"envelopes":[%s]}' % b','.join(envelopes))
    key = _hosts.key(signer, host=f'host{number}', agent=f'agent{number}')
    return key, bodies


def _cpu(process: int) -> float:
    """The processor time of a process, in seconds."""
    fields = pathlib.Path(f'/proc/{process}/stat').read_text().split()
    ticks: int = os.sysconf('SC_CLK_TCK')
    return (int(fields[13]) + int(fields[14])) / ticks


def _timed(
    case: str, count: int, call: typing.Callable[[int], object]
) -> bench_report.Row:
    """The time of a call, for each of some numbers."""
    took = []
    for number in range(count):
        start = time.perf_counter()
        call(number)
        took.append((time.perf_counter() - start) * 1e6)
    return _row(case, 'us', *took)


def _row(case: str, unit: str, *values: float) -> bench_report.Row:
    return bench_report.row('evidence', case, unit, values)


def main() -> int:
    """Run it; see the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--statements', type=int, default=20_000)
    parser.add_argument('--hosts', type=int, default=20)
    parser.add_argument('--batch', type=int, default=100)
    parser.add_argument('--database', default='')
    parser.add_argument('--min-rate', type=float, default=1000.0)
    bench_report.add_argument(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return _run(options, pathlib.Path(folder))


def _run(options: argparse.Namespace, folder: pathlib.Path) -> int:
    url = options.database or f'sqlite:///{folder}/log.sqlite'
    authority = _pki.Authority(folder / 'pki')
    signer = _samples.signer()
    stored = store.Store(url)
    ring = keyring.Keyring(stored)
    bodies: list[list[bytes]] = []
    for number in range(options.hosts):
        key, made = _sealed(
            number, options.statements // options.hosts, options.batch
        )
        ring.enroll(key)
        bodies.append(made)
    certificates = [
        authority.issue(f'client{number}') for number in range(_CLIENTS)
    ]
    served = listener.bind('127.0.0.1', 0)
    port = served.getsockname()[1]
    server = multiprocessing.get_context('fork').Process(
        target=_serve,
        args=(
            served,
            url,
            options.hosts,
            signer,
            (authority.issue('log'), authority.ca_file),
        ),
        daemon=True,
    )
    server.start()
    found: list[typing.Any] = []

    def send(client: int) -> None:
        with requests.Session() as session:
            session.trust_env = False
            session.verify = authority.ca_file
            one = certificates[client]
            session.cert = (one.cert_file, one.key_file)
            for body in [
                body for made in bodies[client::_CLIENTS] for body in made
            ]:
                answer = session.post(
                    f'https://127.0.0.1:{port}/v1/evidence/statements',
                    data=body,
                    timeout=_SECONDS,
                )
                found.append(answer.content)

    try:
        threads = [
            threading.Thread(target=send, args=(number,))
            for number in range(_CLIENTS)
        ]
        busy, start = _cpu(server.pid or 0), time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.perf_counter() - start
        busy = _cpu(server.pid or 0) - busy
    finally:
        server.kill()
        server.join()
    answered = [
        one
        for text in found
        for one in strict_json.loads(text, 2**26).get('receipts', [])
    ]
    bad = [one for one in answered if 'entry' not in one]
    for one in answered[:: max(len(answered) // 100, 1)]:
        receipts.loads(one).open([signer.public_key])
    rate = len(answered) / took
    each = busy / max(len(answered), 1) * 1e3
    rows = [
        _row('statements taken', '1/s', rate),
        _row('processor time of one', 'ms', each),
    ]
    if not options.database:
        stored.close()
        size = (folder / 'log.sqlite').stat().st_size
        rows.append(
            _row('size of one in SQLite', 'bytes', size / options.statements)
        )
    start = time.perf_counter()
    kept = log.Log(store.Store(url), signer)
    rows.append(_row('log opened', 's', time.perf_counter() - start))
    if answered:
        rows += [
            _timed(
                'proof of consistency',
                200,
                lambda n: kept.consistency(1 + n * 37 % len(answered)),
            ),
            _timed(
                'newest bundle of a server',
                200,
                lambda n: kept.newest(
                    _samples.OPERATOR.subject.uuid, 'operator'
                ),
            ),
        ]
    bench_report.finish(options.json, rows)
    if bad or len(answered) < options.statements or rate < options.min_rate:
        print(
            f'{len(answered)} answers, {len(bad)} of them refusals; '
            f'{rate:.0f}/s, wanted {options.min_rate:.0f}/s'
        )
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
