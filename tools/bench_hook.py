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

"""Measure the cost of the libvirt hook, when it runs as libvirt runs it.

For the start of a guest libvirt runs it twice (prepare, start), and it has
something to check once. Goals, both together, on a quiet machine: 60 ms for a
tagged guest, 5 ms for an untagged one. The time of the processor is printed
too: it says more where the machine is busy.
"""

import argparse
from collections.abc import Sequence
import os
from pathlib import Path
import resource
import subprocess  # nosec B404: a hook is a program
import sys
import tempfile
import time

from nova_isolation.hook import script
from nova_isolation.host import domain_metadata
from tools import bench_report

_DOMAIN = """<domain type='kvm'>
  <name>instance-00000001</name>
  <uuid>f4f9ecaa-4b5a-4b56-8c5e-5a1e0c0a0001</uuid>
  <metadata>
    <nova:instance xmlns:nova="{namespace}">
      <nova:flavor name="m1">
        <nova:extraSpecs>
          <nova:extraSpec name="hw:cpu_policy">shared</nova:extraSpec>
          {specs}
        </nova:extraSpecs>
      </nova:flavor>
    </nova:instance>
  </metadata>
  <devices>
    {devices}
  </devices>
  <seclabel type='dynamic' model='selinux' relabel='yes'>
    <label>system_u:system_r:svirt_t:s0:c1,c2</label>
    <imagelabel>system_u:object_r:svirt_image_t:s0:c1,c2</imagelabel>
    <baselabel>system_u:system_r:svirt_t:s0</baselabel>
  </seclabel>
</domain>
"""
# Makes the XML as long as that of a guest with a few devices.
_DEVICES = '<!-- one of the devices, with its address and alias -->' * 200


_LABEL = '<label>system_u:system_r:svirt_t:s0:c1,c2</label>'


def _domain(**specs: str) -> bytes:
    return _DOMAIN.format(
        namespace=domain_metadata.NAMESPACE,
        devices=_DEVICES,
        specs=''.join(
            f'<nova:extraSpec name="isolation:{key}">{value}</nova:extraSpec>'
            for key, value in specs.items()
        ),
    ).encode()


def _run(command: Sequence[str | Path], text: bytes) -> tuple[float, float]:
    """Run a command.

    :returns: the time that has elapsed and that of the processor, ms
    """
    environment = {'LC_ALL': 'C', 'PATH': os.environ['PATH']}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run(  # noqa: S603  # nosec B603: our own script
        command, input=text, check=True, env=environment, timeout=60
    )
    elapsed = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return 1e3 * elapsed, 1e3 * used


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=50)
    bench_report.add_argument(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = script.Script(Path(folder, 'hooks'))
        file.install()
        tagged = _domain(svirt='selinux', svirt_type='svirt_t')
        before = tagged.replace(_LABEL.encode(), b'')
        plain = _domain(hypervisor='qemu', qemu_sandbox='true')
        cases: dict[str, list[tuple[list[str | Path], bytes]]] = {
            'untagged, both calls': [
                (_hook(file, 'prepare'), _domain()),
                (_hook(file, 'start'), _domain()),
            ],
            'tagged, the XML asked nothing, both calls': [
                (_hook(file, 'prepare'), plain),
                (_hook(file, 'start'), plain),
            ],
            'tagged, both calls': [
                (_hook(file, 'prepare'), before),
                (_hook(file, 'start'), tagged),
            ],
            'an empty Python program': [
                ([sys.executable, '-I', '-S', '-c', ''], b'')
            ],
            'an empty shell script': [(['/bin/sh', '-c', ':'], b'')],
        }
        elapsed: dict[str, list[float]] = {name: [] for name in cases}
        used: dict[str, list[float]] = {f'{name}, cpu': [] for name in cases}
        # In turns, so that a machine that slows down slows all alike.
        for _ in range(options.rounds):
            for name, calls in cases.items():
                times = [_run(*call) for call in calls]
                elapsed[name].append(sum(one for one, _ in times))
                used[f'{name}, cpu'].append(sum(one for _, one in times))
    untagged = 'untagged, both calls'
    bench_report.finish(
        options.json,
        [
            *bench_report.rows('hook', 'ms', elapsed, untagged),
            *bench_report.rows('hook', 'ms', used, f'{untagged}, cpu'),
        ],
    )


def _hook(file: script.Script, operation: str) -> list[str | Path]:
    return [file.path, 'guest', operation, 'begin', '-']


if __name__ == '__main__':
    main()
