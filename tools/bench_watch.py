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

"""Measure the cost of a periodic verification, for each running guest.

The bench needs a real libvirtd: that of the first host of a lab cloud, where
it boots guests for itself, or another one with running guests (``--uri``). It
treats every running guest as if its flavor had these extra specs. It does not
measure the database query, one for all guests. Goal: under 1 ms of the
processor a guest.
"""

import argparse
import os
import time
import typing

os.environ.setdefault('OS_NOVA_DISABLE_EVENTLET_PATCHING', '1')

import libvirt
import nova.conf

from nova_isolation import opts
from nova_isolation.host import bounded_calls
from nova_isolation.host import compute_host
from nova_isolation.host import measurement
from nova_isolation.host import process_labels
from nova_isolation.host import running_guest
from nova_isolation.mechanisms import registry
from nova_isolation.model import requirements
from nova_isolation.virt.guard import guest_request
from nova_isolation.virt.guard import verification
from tools import bench_lab
from tools import bench_report

_SPECS = (
    'isolation:hypervisor=qemu',
    'isolation:qemu_hardening=pie',
    'isolation:qemu_sandbox=true',
)


class Host:
    """The part of Nova's Host that a verification needs."""

    def __init__(self, uri: str) -> None:
        self._connection = libvirt.open(uri)

    def get_connection(self) -> libvirt.virConnect:
        """The connection, which all callers share."""
        return self._connection

    def list_instance_domains(
        self, only_running: bool = True
    ) -> list[libvirt.virDomain]:
        """The running domains."""
        return list(
            self._connection.listAllDomains(
                libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE
            )
        )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    bench_lab.add_arguments(parser)
    bench_report.add_argument(parser)
    parser.add_argument('--virt-type', default='qemu')
    parser.add_argument('--rounds', type=int, default=100)
    parser.add_argument(
        '--guests', type=int, default=4, help='to boot in the lab cloud'
    )
    parser.add_argument('specs', nargs='*', default=_SPECS)
    options = parser.parse_args()
    with bench_lab.running_guests(options.state, options.guests):
        rows = _measure(options)
    bench_report.finish(options.json, rows)


def _measure(options: argparse.Namespace) -> list[bench_report.Row]:
    """Verify the guests that run, again and again."""
    run_dir = bench_lab.run_dir(options)
    libvirt_host = Host(bench_lab.uri(options))
    mechanisms = registry.get()
    calls = bounded_calls.BoundedCalls(30)
    opts.register(nova.conf.CONF)
    nova.conf.CONF.set_override('qemu_run_dir', run_dir, 'isolation')
    host = compute_host.ComputeHost(
        libvirt_host, nova.conf.CONF, options.virt_type, dict
    )
    wanted = requirements.parse(
        dict(spec.split('=', 1) for spec in options.specs),
        mechanisms.vocabulary,
    )
    passes, guests = [], 0
    measure: typing.Any = measurement.measure
    measure(host, mechanisms, calls)
    used: list[float] = []
    for _ in range(options.rounds):
        start = time.perf_counter()
        domains = libvirt_host.list_instance_domains()
        measured = measure(host, mechanisms, calls)
        begun = time.perf_counter()
        before = time.process_time()
        shared = process_labels.ProcessLabels(
            libvirt_host, run_dir, '/proc', calls
        )
        for domain in domains:
            found = verification.verify(
                running_guest.RunningGuest(domain, run_dir, '/proc', shared),
                guest_request.GuestRequest(domain.UUIDString(), wanted),
                measured,
                host,
                mechanisms,
                calls,
            )
            if found.unmet:
                raise SystemExit(f'{domain.name()}: {found.unmet}')
        used.append(time.process_time() - before)
        guests = len(domains)
        passes.append((begun - start, time.perf_counter() - begun))
    if not guests:
        raise SystemExit('no guest runs')
    return [
        bench_report.row('watch', case, 'ms', found_ms)
        for case, found_ms in (
            ('the host, once a round', [1e3 * one for one, _ in passes]),
            (
                f'each of {guests} guests',
                [1e3 * all_guests / guests for _, all_guests in passes],
            ),
            # What a busy machine changes least; without what libvirtd uses.
            ('each guest, cpu', [1e3 * one / guests for one in used]),
        )
    ]


if __name__ == '__main__':
    main()
