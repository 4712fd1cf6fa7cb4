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

Goal: less than 100 ms each time on a quiet machine. For the start of a guest
libvirt runs it twice with something to judge (prepare, start). The time of
the processor is printed too: it says more where the machine is busy.
"""

import argparse
from collections.abc import Sequence
import os
from pathlib import Path
import resource
import statistics
import subprocess  # nosec B404: a hook is a program
import sys
import tempfile
import time

from nova_isolation.hook import script
from nova_isolation.host import domain_metadata

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


def _domain(**specs: str) -> bytes:
    return _DOMAIN.format(
        namespace=domain_metadata.NAMESPACE,
        devices=_DEVICES,
        specs=''.join(
            f'<nova:extraSpec name="isolation:{key}">{value}</nova:extraSpec>'
            for key, value in specs.items()
        ),
    ).encode()


def _measure(
    name: str, command: Sequence[str | Path], text: bytes, rounds: int
) -> None:
    """Run a command often, and print its times."""
    wall, cpu = [], []
    environment = {'LC_ALL': 'C', 'PATH': os.environ['PATH']}
    for _ in range(rounds):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.perf_counter()
        subprocess.run(  # noqa: S603  # nosec B603: our own script
            command, input=text, check=True, env=environment, timeout=60
        )
        wall.append(time.perf_counter() - start)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu.append(
            after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        )
    print(
        f'{name:21}'
        + ''.join(
            f' {kind}: min {min(values) * 1e3:5.1f},'
            f' median {statistics.median(values) * 1e3:5.1f} ms;'
            for kind, values in (('elapsed', wall), ('processor', cpu))
        )
    )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=100)
    rounds = parser.parse_args().rounds
    print('load average:', *os.getloadavg())
    with tempfile.TemporaryDirectory() as folder:
        file = script.Script(Path(folder, 'hooks'))
        file.install()
        start: list[str | Path] = [file.path, 'guest', 'start', 'begin', '-']
        tagged = _domain(svirt='selinux', svirt_type='svirt_t')
        empty: list[str | Path] = [sys.executable, '-I', '-c', '']
        _measure('empty shell script', ['/bin/sh', '-c', ':'], b'', rounds)
        _measure('empty Python program', empty, b'', rounds)
        _measure('hook, untagged guest', start, _domain(), rounds)
        _measure('hook, tagged guest', start, tagged, rounds)


if __name__ == '__main__':
    main()
