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

"""Measure the cost of measuring a host, cold and warm.

The bench needs a real libvirtd: that of the first host of a lab cloud, or
another one (``--uri``). Goals: under 2 s cold,
under 10 ms warm, at most 1 KB of facts.
"""

import argparse
import os
import time

os.environ.setdefault('OS_NOVA_DISABLE_EVENTLET_PATCHING', '1')

import libvirt
import nova.conf

from nova_isolation import opts
from nova_isolation.host import bounded_calls
from nova_isolation.host import compute_host
from nova_isolation.host import measurement
from nova_isolation.mechanisms import registry
from tools import bench_lab
from tools import bench_report


class Connection:
    """The part of Nova's Host that a measurement needs."""

    def __init__(self, uri: str) -> None:
        self._connection = libvirt.open(uri)

    def get_connection(self) -> libvirt.virConnect:
        """The connection, which all callers share."""
        return self._connection


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    bench_lab.add_arguments(parser)
    bench_report.add_argument(parser)
    parser.add_argument('--virt-type', default='qemu')
    parser.add_argument('--rounds', type=int, default=100)
    options = parser.parse_args()
    opts.register(nova.conf.CONF)
    nova.conf.CONF.set_override(
        'qemu_run_dir', bench_lab.run_dir(options), 'isolation'
    )
    host = compute_host.ComputeHost(
        Connection(bench_lab.uri(options)),
        nova.conf.CONF,
        options.virt_type,
        dict,
    )
    mechanisms = registry.get()
    calls = bounded_calls.BoundedCalls(30)
    times = []
    for _ in range(options.rounds + 1):
        start = time.perf_counter()
        measured = measurement.measure(host, mechanisms, calls)
        times.append(time.perf_counter() - start)
    cold, *warm = times
    print(measured.document)
    print(f'{len(measured.document)} bytes, {len(measured.traits)} traits')
    bench_report.finish(
        options.json,
        [
            bench_report.row('facts', case, 'ms', [1e3 * one for one in taken])
            for case, taken in (('cold', [cold]), ('warm', warm))
        ],
    )


if __name__ == '__main__':
    main()
