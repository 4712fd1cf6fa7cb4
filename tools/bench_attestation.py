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
"""Measure the cost of attestation, and how fast a revocation arrives.

Goals: a snapshot of 10,000 hosts is parsed and swapped in 0.5 s and takes
50 MB; a webhook becomes a refusal within 1 s; in the scheduler's filter
attestation keeps to the goal of tools/bench_filter.py. Absolute times are
those of this machine; a bench is not a test. tools/bench_relaunch.py measures
the time from a changed PCR to a refusal.
"""

import argparse
from collections.abc import Callable
import functools
import gc
import multiprocessing
import time
import tracemalloc
import typing

from nova_isolation.attestation import attestd_client
from nova_isolation.attestation import provider
from nova_isolation.attestation import refresher
from nova_isolation.attestation.keylime import keylime_provider
from nova_isolation.decision import cache
from nova_isolation.mechanisms import registry
from nova_isolation.model import facts
from nova_isolation.model import requirements
from tools import attestation_stand
from tools import bench_report

_FORK = multiprocessing.get_context('fork')
_ATTESTED = {'isolation:attested': 'true', 'isolation:attested_pcrs': '17'}


def _source(asked: provider.Provider) -> refresher.Refresher:
    return refresher.Refresher(
        asked, max_age=attestation_stand.MAX_AGE, clock_skew=5.0
    )


def _in_child(
    run: Callable[[], list[bench_report.Row]],
) -> list[bench_report.Row]:
    """Run in a process of its own, to measure its memory and time."""
    told = _FORK.Queue()
    child = _FORK.Process(target=lambda: told.put(run()))
    child.start()
    found: list[bench_report.Row] = told.get(
        timeout=attestation_stand.PATIENCE
    )
    child.join(attestation_stand.PATIENCE)
    return found


def _kilobytes(field: str) -> int:
    with open('/proc/self/status') as file:
        (line,) = (one for one in file if one.startswith(f'{field}:'))
    return int(line.split()[1])


def _refresh(
    name: str, make: Callable[[], provider.Provider]
) -> list[bench_report.Row]:
    """Measure time and memory of a refresh: receive, parse and swap."""
    gc.collect()
    with open('/proc/self/clear_refs', 'w') as file:
        # This resets VmHWM, which is the peak from here on.
        file.write('5')
    before = _kilobytes('VmRSS')
    elapsed, taken = [], []
    held = None
    for _ in range(5):
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        fresh = _source(make())
        fresh.refresh()
        # The previous data live until here, as they do in a swap.
        held = fresh
        elapsed.append(time.perf_counter() - wall)
        taken.append(time.process_time() - cpu)
    peak = _kilobytes('VmHWM') - before
    del held, fresh
    gc.collect()
    tracemalloc.start()
    held = _source(make())
    held.refresh()
    gc.collect()
    kept = tracemalloc.get_traced_memory()[0]
    return [
        bench_report.row('attestation', f'{name}, {what}', unit, values)
        for what, unit, values in (
            ('cpu', 's', taken),
            ('elapsed', 's', elapsed),
            ('kept', 'MB', [kept / 1e6]),
            ('at the peak', 'MB', [peak / 1e3]),
        )
    ]


def bench_snapshot(stand: attestation_stand.Stand) -> list[bench_report.Row]:
    """A snapshot: as the daemon makes it, and as a scheduler gets it."""
    found = _in_child(
        lambda: _refresh(
            'verifier to daemon',
            lambda: keylime_provider.KeylimeProvider(
                stand.keylime, stand.keylime_own
            ),
        )
    )
    pid = stand.start()
    found += _in_child(
        lambda: _refresh(
            'daemon to scheduler',
            lambda: attestd_client.AttestdProvider(
                stand.attestd, stand.attestd_own
            ),
        )
    )
    resident = attestation_stand.resident(pid)
    return [
        *found,
        bench_report.row('attestation', 'daemon, resident', 'MB', [resident]),
    ]


def bench_webhook(stand: attestation_stand.Stand) -> list[bench_report.Row]:
    """From a verifier's message to a refusal in another process."""
    stand.start()
    mechanisms = registry.get()
    wanted = requirements.parse(_ATTESTED, mechanisms.vocabulary)
    judge = cache.DecisionCache(wanted, facts.Freshness(), mechanisms)
    document = facts.dumps({})
    client = stand.client()
    client.start()

    def accepts(host: str) -> bool:
        return judge.decide(
            document,
            0.0,
            client.statements(host, ''),
            client.clock(time.time()),
        ).accepted

    def refuses(host: str) -> bool:
        return not accepts(host)

    try:
        _wait(lambda: accepts('host0'))
        elapsed = []
        for number in range(20):
            host = f'host{number}'
            if not accepts(host):
                raise RuntimeError(f'{host} is refused before the message')
            start = time.perf_counter()
            answer = stand.daemon.post(attestation_stand.message(number))
            answer.raise_for_status()
            _wait(functools.partial(refuses, host))
            elapsed.append(time.perf_counter() - start)
    finally:
        client.stop()
    # The connection of the verifier included.
    return [
        bench_report.row(
            'attestation',
            'webhook to refusal',
            'ms',
            [1e3 * one for one in elapsed],
        )
    ]


def _scheduler(
    stand: attestation_stand.Stand, told: typing.Any, ended: typing.Any
) -> None:
    """A scheduler: tells when it has a snapshot, each time."""
    client = stand.client(lambda known: told.put(time.monotonic()))
    client.start()
    ended.wait()
    client.stop()


def bench_schedulers(
    stand: attestation_stand.Stand, number: int
) -> list[bench_report.Row]:
    """One daemon, many schedulers, each a process.

    The last of them has a change when all have parsed it, on the processors
    of this machine.
    """
    pid = stand.start()
    told, ended = _FORK.Queue(), _FORK.Event()
    children = [
        _FORK.Process(target=_scheduler, args=(stand, told, ended))
        for _ in range(number)
    ]
    for child in children:
        child.start()
    try:
        _all(told, number)
        elapsed, taken = [], []
        for round_ in range(5):
            # All are waiting again.
            time.sleep(1)
            before = attestation_stand.processor(pid)
            start = time.monotonic()
            stand.daemon.post(
                attestation_stand.message(round_)
            ).raise_for_status()
            elapsed.append(_all(told, number) - start)
            taken.append(attestation_stand.processor(pid) - before)
    finally:
        ended.set()
        for child in children:
            child.join(attestation_stand.PATIENCE)
    return [
        bench_report.row('attestation', f'{number} {what}', 's', values)
        for what, values in (
            ('schedulers have a change', elapsed),
            ('schedulers, the daemon, cpu', taken),
        )
    ]


def _all(told: typing.Any, number: int) -> float:
    """When the last of them had it, by the monotonic clock."""
    return float(
        max(
            told.get(timeout=attestation_stand.PATIENCE) for _ in range(number)
        )
    )


def _wait(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + attestation_stand.PATIENCE
    while not is_so():
        if time.monotonic() > until:
            raise TimeoutError('nothing has changed')
        time.sleep(0.0005)


def _bench_filter(stand: attestation_stand.Stand) -> list[bench_report.Row]:
    # Here: it imports Nova, which the others need not.
    from tools import attested_filter

    return attested_filter.bench(stand, _ATTESTED)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'parts',
        nargs='*',
        metavar='PART',
        help=f'of {", ".join(_PARTS)}; all',
    )
    parser.add_argument('--hosts', type=int, default=10_000)
    parser.add_argument('--kinds', type=int, default=10)
    parser.add_argument('--schedulers', type=int, default=50)
    bench_report.add_argument(parser)
    options = parser.parse_args()
    found: list[bench_report.Row] = []
    for part in options.parts or _PARTS:
        with attestation_stand.Stand(options.hosts, options.kinds) as stand:
            found += _PARTS[part](stand, options)
    bench_report.finish(options.json, found)


_PARTS: dict[
    str,
    Callable[
        [attestation_stand.Stand, argparse.Namespace], list[bench_report.Row]
    ],
] = {
    'snapshot': lambda stand, _: bench_snapshot(stand),
    'webhook': lambda stand, _: bench_webhook(stand),
    'schedulers': lambda stand, options: bench_schedulers(
        stand, options.schedulers
    ),
    'filter': lambda stand, _: _bench_filter(stand),
}


if __name__ == '__main__':
    main()
