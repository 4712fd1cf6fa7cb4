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

"""Benchmark the scheduler's filter beside Nova's own, in one run.

Real HostState objects go through Nova's HostFilterHandler with one filter at
a time: an empty one, Nova's AggregateInstanceExtraSpecsFilter and ours. What
counts is what a filter adds to the empty one, and the ratio of what ours
adds to what Nova's adds (goal: at most 0.1, warm and tagged). Absolute times
are this machine's; it is no test.

Every run gets new strings, as the scheduler does: it reads all hosts from
the database on each request, so no hash of a string is known beforehand.
"""

import argparse
import dataclasses
import functools
import gc
import os
import statistics
import time
import typing

os.environ.setdefault('OS_NOVA_DISABLE_EVENTLET_PATCHING', '1')

import nova.conf
from nova.scheduler import filters
from nova.scheduler import host_manager
from nova.scheduler.filters import aggregate_instance_extra_specs

from nova import config
from nova import objects
from nova_isolation import facts
from nova_isolation import qemu_catalogue
from nova_isolation.scheduler import filter as isolation_filter

#: What a hardened host says; the kinds of hosts differ in one declaration.
_SECTIONS: dict[str, object] = {
    'hypervisor': {'type': 'kvm'},
    'svirt': {
        'models': ['selinux'],
        'selinux': 'enforcing',
        'policy': 'mcs',
        'apparmor': 'disabled',
        'types': ['svirt_t', 'svirt_tcg_t'],
    },
    'qemu': {
        'hardening': ['bindnow', 'canary', 'fortify', 'nx', 'pie', 'relro'],
        'sandbox': True,
        'known': len(qemu_catalogue.CATALOGUE),
        'present': f'{(1 << len(qemu_catalogue.CATALOGUE)) - 1:x}',
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


class EmptyFilter(filters.BaseHostFilter):
    """What any filter costs."""

    def host_passes(self, host: typing.Any, spec: typing.Any) -> bool:
        """All pass."""
        return True


@dataclasses.dataclass
class Row:
    """One line of the table; times in microseconds a host."""

    name: str
    times: list[float] = dataclasses.field(default_factory=list)

    @property
    def median(self) -> float:
        """The median."""
        return statistics.median(self.times)


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
        host.stats = {facts.STAT: texts[index % kinds], facts.TIME_STAT: ''}
        result.append(host)
    return result


def refresh(states: list[typing.Any]) -> None:
    """New strings for all hosts, measured now."""
    now = str(int(time.time()))
    for host in states:
        text = host.stats[facts.STAT].encode().decode()
        host.stats = {facts.STAT: text, facts.TIME_STAT: str(int(now))}


def spec(extra_specs: dict[str, str]) -> typing.Any:
    """A request for a flavor."""
    return objects.RequestSpec(
        flavor=objects.Flavor(extra_specs=extra_specs),
        scheduler_hints={},
        instance_uuid='00000000-0000-0000-0000-000000000000',
    )


def measure(
    make: typing.Callable[[], typing.Any],
    states: list[typing.Any],
    request: typing.Any,
) -> float:
    """Microseconds a host of one request through one filter.

    :raises RuntimeError: the filter let not all hosts pass
    """
    refresh(states)
    one = make()
    handler = filters.HostFilterHandler()
    gc.collect()
    gc.disable()
    start = time.perf_counter()
    passed = handler.get_filtered_objects([one], states, request)
    taken = time.perf_counter() - start
    gc.enable()
    if len(passed) != len(states):
        raise RuntimeError(f'{one} let {len(passed)} pass')
    return taken / len(states) * 1e6


def bench(number: int, kinds: int, rounds: int) -> None:
    """Print the table for a number of hosts."""
    states = hosts(number, kinds)
    warm = functools.cache(isolation_filter.IsolationFilter)
    empty, novas = (
        EmptyFilter,
        (aggregate_instance_extra_specs.AggregateInstanceExtraSpecsFilter),
    )
    cases: tuple[tuple[str, typing.Any, dict[str, str]], ...] = (
        ('empty', empty, {}),
        ('Nova, untagged', novas, {}),
        ('Nova, tagged', novas, _NOVAS),
        ('ours, untagged', warm, {}),
        ('ours, tagged, warm', warm, _OURS),
        ('ours, tagged, cold', isolation_filter.IsolationFilter, _OURS),
    )
    measure(warm, states, spec(_OURS))
    rows = {name: Row(name) for name, _, _ in cases}
    # In turns, so that a machine that slows down slows all alike.
    for _ in range(rounds):
        for name, make, extra_specs in cases:
            rows[name].times.append(measure(make, states, spec(extra_specs)))
    base = rows['empty'].median
    novas_share = rows['Nova, tagged'].median - base
    print(f'\n{number} hosts of {kinds} kinds, median of {rounds} rounds')
    print(f'{"filter":22}{"us/host":>9}{"added":>9}{"added / Nova added":>20}')
    for row in rows.values():
        added = row.median - base
        print(
            f'{row.name:22}{row.median:9.3f}{added:9.3f}'
            f'{added / novas_share:20.3f}'
        )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--hosts', type=int, nargs='+', default=[1_000, 10_000, 100_000]
    )
    parser.add_argument('--kinds', type=int, default=10)
    parser.add_argument('--rounds', type=int, default=7)
    options = parser.parse_args()
    config.parse_args(['bench'], default_config_files=[])
    nova.conf.CONF.set_override('debug', False)
    objects.register_all()
    for number in options.hosts:
        bench(number, options.kinds, options.rounds)


if __name__ == '__main__':
    main()
