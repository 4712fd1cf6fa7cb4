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

The bench needs a real libvirtd, e.g. that of a lab host (``python -m lab
status`` prints the state folder) or ``qemu:///system``. Goals: under 2 s cold,
under 10 ms warm, at most 1 KB of facts.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault('OS_NOVA_DISABLE_EVENTLET_PATCHING', '1')

import libvirt
import nova.conf

from nova_isolation import opts
from nova_isolation.host import bounded_calls
from nova_isolation.host import compute_host
from nova_isolation.host import measurement
from nova_isolation.mechanisms import registry


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
    parser.add_argument('--uri', default='qemu:///system')
    parser.add_argument('--virt-type', default='qemu')
    parser.add_argument('--rounds', type=int, default=100)
    options = parser.parse_args()
    host = compute_host.ComputeHost(
        Connection(options.uri),
        opts.register(nova.conf.CONF),
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
    print(
        f'cold {cold * 1e3:.0f} ms; warm, {len(warm)} rounds: '
        f'median {statistics.median(warm) * 1e3:.2f} ms, '
        f'max {max(warm) * 1e3:.2f} ms'
    )


if __name__ == '__main__':
    main()
