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

"""Measure how long nova-compute takes to start a guest.

The bench boots tagged and untagged guests in turn on one host of a lab cloud,
with real QEMU and libvirt. The time is that of the driver's ``spawn``, which
Nova writes into its log, to a hundredth of a second. Goal: the median of the
tagged guests is at most 30 ms above that of the untagged ones.
"""

import argparse
from pathlib import Path
import re
import time
import typing

from lab.cloud import cloud as clouds
from lab.daemons import nova
from lab.guests import guests
from lab.run import errors
from tools import bench_report

_SPECS = (
    'isolation:hypervisor=qemu',
    'isolation:qemu_hardening=pie',
    'isolation:qemu_sandbox=true',
)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--pairs', type=int, default=20)
    parser.add_argument(
        '--state', type=Path, required=True, help='the lab cloud to use'
    )
    parser.add_argument('specs', nargs='*', default=_SPECS)
    bench_report.add_argument(parser)
    options = parser.parse_args()
    cloud = clouds.Cloud.attach(options.state)
    found = _run(
        cloud, options.pairs, dict(one.split('=', 1) for one in options.specs)
    )
    bench_report.finish(
        options.json, bench_report.rows('start', 's', found, 'untagged')
    )


def _run(
    cloud: clouds.Cloud, pairs: int, specs: typing.Mapping[str, str]
) -> dict[str, list[float]]:
    maker = guests.Guests(cloud)
    host = next(iter(cloud.hosts))
    log = cloud.layout.log / f'{nova.compute_name(host)}.log'
    flavors = {
        kind: maker.flavor(f'bench-{kind}-{time.time_ns()}', dict(own))
        for kind, own in (('untagged', {}), ('tagged', specs))
    }
    found: dict[str, list[float]] = {kind: [] for kind in flavors}
    try:
        # The first round fetches the image and is not counted.
        for number in range(pairs + 1):
            for kind, flavor in flavors.items():
                name = f'bench-start-{kind}-{number}'
                server = maker.boot(name, flavor.id, host=host)
                try:
                    if server.status != 'ACTIVE':
                        raise errors.LabError(f'{name}: {server.fault}')
                    if number:
                        found[kind].append(_spawned(log, server.id))
                finally:
                    maker.delete(server)
    finally:
        for flavor in flavors.values():
            maker.api.compute.delete_flavor(flavor)
    return found


def _spawned(log: Path, uuid: str) -> float:
    """The seconds that the driver took to start a guest.

    :raises LabError: the log does not say so
    """
    said = re.findall(
        rf'\[instance: {uuid}\] Took ([0-9.]+) seconds to spawn',
        log.read_text(encoding='utf-8', errors='replace'),
    )
    if len(said) != 1:
        raise errors.LabError(f'{log} says {len(said)} times that {uuid} runs')
    return float(said[0])


if __name__ == '__main__':
    main()
