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

"""The scheduler's filter with attestation in its decision, for a benchmark."""

import functools
import os
import signal
import time

os.environ.setdefault('OS_NOVA_DISABLE_EVENTLET_PATCHING', '1')

import nova.conf

from nova_isolation.attestation import attestd_client
from nova_isolation.attestation import opts
from nova_isolation.scheduler import filter as isolation_filter
from tools import attestation_stand
from tools import bench_filter
from tools import bench_report

_ROUNDS = 7
#: Seconds until the filter has a snapshot.
_PATIENCE = 60.0


def bench(
    stand: attestation_stand.Stand, attested: dict[str, str]
) -> list[bench_report.Row]:
    """Measure the filter: the daemon answers, and it is black-holed.

    :param attested: the extra specs of a flavor
    """
    pid = stand.start()
    bench_filter.configure()
    common = opts.register(nova.conf.CONF)
    own = opts.register_own(
        nova.conf.CONF, 'attestd', attestd_client.AttestdProvider
    )
    for group, values in (
        (common, stand.attestd),
        (own, stand.attestd_own),
    ):
        for name, value in vars(values).items():
            nova.conf.CONF.set_override(name, value, group._group.name)
    warm = functools.cache(isolation_filter.IsolationFilter)
    states = bench_filter.hosts(stand.hosts, stand.kinds)
    case = bench_filter.Case('ours, attested', warm, attested)
    # In a scheduler, the worker starts it.
    warm().attestation.start()
    _wait(case, states)
    cases = (*bench_filter.common(warm), case)
    title = f'{stand.hosts} hosts'
    try:
        found = bench_filter.compare(title, states, cases, _ROUNDS)
        # It accepts connections and never answers.
        os.kill(pid, signal.SIGSTOP)
        old = bench_filter.Case(
            'ours, attested, too old',
            warm,
            {**attested, 'isolation:attested_max_age': '1'},
            refused=True,
        )
        return found + bench_filter.compare(
            f'{title}, no answer', states, (*cases, old), _ROUNDS
        )
    finally:
        os.kill(pid, signal.SIGCONT)
        warm().attestation.stop()


def _wait(case: bench_filter.Case, states: list[object]) -> None:
    """Until the filter knows the hosts: they all pass."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            bench_filter.measure(case, states)
            return
        except RuntimeError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
