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
with real QEMU and libvirt. Two times are taken from the log of nova-compute,
to a thousandth of a second, both from the moment at which the compute manager
calls the driver: until the driver has found that the guest runs, and until the
manager goes on, which comes some time later (Nova's own timer looks whether
the guest runs, and libvirt's events are dealt with meanwhile). Goal: the
medians of the tagged guests are at most 30 ms above those of the untagged
ones.
"""

import argparse
from pathlib import Path
import time
import typing

from lab.cloud import cloud as clouds
from lab.daemons import nova
from lab.guests import guests
from lab.run import errors
from tools import bench_report
from tools import nova_log

_SPECS = (
    'isolation:hypervisor=qemu',
    'isolation:qemu_hardening=pie',
    'isolation:qemu_sandbox=true',
)


#: What Nova's log says of a guest. The first line has the level DEBUG.
_CALLED = 'Start spawning the instance on the hypervisor.'
_ENDS = {
    'until it runs': 'Instance spawned successfully.',
    'until Nova goes on': 'seconds to spawn the instance on the hypervisor.',
}
_LEVELS = {'DEFAULT': {'default_log_levels': 'nova.compute.manager=DEBUG'}}


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
    host = next(iter(cloud.hosts))
    daemon = nova.compute_name(host)
    cloud.restart(daemon, _LEVELS)
    try:
        found = _run(
            cloud,
            host,
            options.pairs,
            dict(one.split('=', 1) for one in options.specs),
        )
    finally:
        cloud.restart(daemon)
    bench_report.finish(
        options.json,
        [
            row
            for end, cases in found.items()
            for row in bench_report.rows(
                'start', 'ms', cases, f'untagged, {end}'
            )
        ],
    )


def _run(
    cloud: clouds.Cloud,
    host: str,
    pairs: int,
    specs: typing.Mapping[str, str],
) -> dict[str, dict[str, list[float]]]:
    """Start guests in turn.

    :returns: what a start ends with -> kind of guest -> milliseconds
    """
    maker = guests.Guests(cloud)
    log = cloud.layout.log / f'{nova.compute_name(host)}.log'
    flavors = {
        kind: maker.flavor(f'bench-{kind}-{time.time_ns()}', dict(own))
        for kind, own in (('untagged', {}), ('tagged', specs))
    }
    found: dict[str, dict[str, list[float]]] = {
        end: {f'{kind}, {end}': [] for kind in flavors} for end in _ENDS
    }
    try:
        # The first round fetches the image and is not counted.
        for number in range(pairs + 1):
            for kind, flavor in flavors.items():
                name = f'bench-start-{kind}-{number}'
                server = maker.boot(name, flavor.id, host=host)
                try:
                    if server.status != 'ACTIVE':
                        raise errors.LabError(f'{name}: {server.fault}')
                    for end, milliseconds in taken(log, server.id).items():
                        if number:
                            found[end][f'{kind}, {end}'].append(milliseconds)
                finally:
                    maker.delete(server)
    finally:
        for flavor in flavors.values():
            maker.api.compute.delete_flavor(flavor)
    return found


def taken(log: Path, uuid: str) -> dict[str, float]:
    """What a start ends with -> the milliseconds that it took.

    :raises LabError: the log does not say so
    """
    called = nova_log.time(log, uuid, _CALLED)
    return {
        end: 1e3 * (nova_log.time(log, uuid, words) - called)
        for end, words in _ENDS.items()
    }


if __name__ == '__main__':
    main()
