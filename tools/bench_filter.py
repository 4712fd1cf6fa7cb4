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

"""Benchmark the scheduler's filter and Nova's own filters, in one run.

Real HostState objects go through Nova's HostFilterHandler with one filter at
a time: an empty one, Nova's AggregateInstanceExtraSpecsFilter and ours. What
counts is what a filter adds to the empty one, and the ratio of what ours
adds to what Nova's adds (goal: at most 0.1, warm and tagged). Absolute times
are those of this machine; a bench is not a test.

Every run gets new strings, as the scheduler does: it reads all hosts from
the database on each request, so no hash of a string is known beforehand.
"""

import argparse
from collections.abc import Callable
import functools
import gc
import os
import time
import typing

os.environ.setdefault('OS_NOVA_DISABLE_EVENTLET_PATCHING', '1')

from nova import config
from nova import objects
import nova.conf
from nova.scheduler import filters
from nova.scheduler import host_manager
from nova.scheduler.filters import aggregate_instance_extra_specs

from nova_isolation.mechanisms.qemu import catalogue
from nova_isolation.model import facts
from nova_isolation.scheduler import filter as isolation_filter
from tools import bench_report

#: The facts of a hardened host; kinds of hosts differ in one declaration.
_SECTIONS: dict[str, object] = {
    'hypervisor': {'type': 'kvm'},
    'svirt': {
        'models': ['selinux'],
        'selinux': 'enforcing',
        'policy': 'mcs',
        'apparmor': 'disabled',
        'types': ['svirt_t', 'svirt_tcg_t'],
        'default': 'svirt_t',
    },
    'qemu': {
        'hardening': ['bindnow', 'canary', 'fortify', 'nx', 'pie', 'relro'],
        'sandbox': True,
        'known': len(catalogue.CATALOGUE),
        'present': f'{(1 << len(catalogue.CATALOGUE)) - 1:x}',
    },
}

_OURS = {
    'isolation:svirt': 'selinux',
    'isolation:qemu_hardening': 'nx,pie,relro',
    'isolation:qemu_sandbox': 'true',
}

_NOVAS = {
    'aggregate_instance_extra_specs:ssd': 'true',
    'aggregate_instance_extra_specs:zone': 'a',
}

_EMPTY, _NOVA_TAGGED = 'empty', 'Nova, tagged'


class EmptyFilter(filters.BaseHostFilter):
    """The cost of any filter."""

    def host_passes(self, host: typing.Any, spec: typing.Any) -> bool:
        """Let every host pass."""
        return True


class Case(typing.NamedTuple):
    """A measured case: one filter and one flavor.

    :ivar make: makes the filter
    :ivar refused: whether the filter refuses all hosts; otherwise it lets all
        hosts pass
    """

    name: str
    make: Callable[[], typing.Any]
    extra_specs: dict[str, str]
    refused: bool = False


def common(warm: Callable[[], typing.Any]) -> tuple[Case, ...]:
    """The cases for comparison, the empty filter first.

    :param warm: makes our filter
    """
    novas = aggregate_instance_extra_specs.AggregateInstanceExtraSpecsFilter
    return (
        Case(_EMPTY, EmptyFilter, {}),
        Case('Nova, untagged', novas, {}),
        Case(_NOVA_TAGGED, novas, _NOVAS),
        Case('ours, untagged', warm, {}),
        Case('ours, tagged, warm', warm, _OURS),
    )


def hosts(number: int, kinds: int) -> list[typing.Any]:
    """Host states as the scheduler has them.

    :param number: of hosts
    :param kinds: of hosts that are alike
    """
    texts = [
        facts.dumps({**_SECTIONS, 'certification': {f'KIND_{kind}': []}})
        for kind in range(kinds)
    ]
    aggregate = objects.Aggregate(
        id=1, name='fast', metadata={'ssd': 'true', 'zone': 'a'}
    )
    result = []
    for index in range(number):
        host = host_manager.HostState(f'host{index}', f'host{index}', 'cell')
        host.uuid = str(index)
        host.aggregates = [aggregate]
        host.stats = {facts.STAT: texts[index % kinds]}
        result.append(host)
    return result


def refresh(states: list[typing.Any]) -> None:
    """New strings for all hosts, measured now."""
    now = str(int(time.time()))
    for host in states:
        text = host.stats[facts.STAT].encode().decode()
        host.stats = {
            facts.STAT: text,
            facts.TIME_STAT: str(int(now)),
            facts.MODE_STAT: 'enforce',
        }


def spec(extra_specs: dict[str, str]) -> typing.Any:
    """A request for a flavor."""
    return objects.RequestSpec(
        flavor=objects.Flavor(extra_specs=extra_specs),
        scheduler_hints={},
        instance_uuid='00000000-0000-0000-0000-000000000000',
    )


def measure(case: Case, states: list[typing.Any]) -> float:
    """Microseconds a host of one request through one filter.

    :raises RuntimeError: when the filter let the wrong hosts pass
    """
    refresh(states)
    request = spec(case.extra_specs)
    one = case.make()
    handler = filters.HostFilterHandler()
    gc.collect()
    gc.disable()
    start = time.perf_counter()
    passed = handler.get_filtered_objects([one], states, request) or []
    taken = time.perf_counter() - start
    gc.enable()
    if len(passed) != (0 if case.refused else len(states)):
        raise RuntimeError(f'{case.name}: {len(passed)} pass')
    return taken / len(states) * 1e6


def compare(
    title: str,
    states: list[typing.Any],
    cases: tuple[Case, ...],
    rounds: int,
) -> list[bench_report.Row]:
    """Measure what each case adds to an empty filter, in microseconds a host.

    :param title: what all cases have in common
    :param cases: those of :func:`common`, and others
    """
    for case in cases:
        measure(case, states)
    times: dict[str, list[float]] = {case.name: [] for case in cases}
    # In turns, so that a machine that slows down slows all alike.
    for _ in range(rounds):
        for case in cases:
            times[case.name].append(measure(case, states))
    # What is added is compared round by round.
    added = {
        f'{name}, {title}': [
            one - base for one, base in zip(all_, times[_EMPTY], strict=True)
        ]
        for name, all_ in times.items()
        if name != _EMPTY
    }
    return bench_report.rows(
        'filter', 'us/host', added, f'{_NOVA_TAGGED}, {title}'
    )


def bench(number: int, kinds: int, rounds: int) -> list[bench_report.Row]:
    """Measure for a number of hosts."""
    return compare(
        f'{number} hosts',
        hosts(number, kinds),
        (
            *common(functools.cache(isolation_filter.IsolationFilter)),
            Case(
                'ours, tagged, cold', isolation_filter.IsolationFilter, _OURS
            ),
        ),
        rounds,
    )


def configure() -> None:
    """As a scheduler without a configuration file."""
    config.parse_args(['bench'], default_config_files=[])
    nova.conf.CONF.set_override('debug', False)
    objects.register_all()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--hosts', type=int, nargs='+', default=[1_000, 10_000, 100_000]
    )
    parser.add_argument('--kinds', type=int, default=10)
    parser.add_argument('--rounds', type=int, default=7)
    bench_report.add_argument(parser)
    options = parser.parse_args()
    configure()
    found: list[bench_report.Row] = []
    for number in options.hosts:
        found += bench(number, options.kinds, options.rounds)
    bench_report.finish(options.json, found)


if __name__ == '__main__':
    main()
