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

"""What the signature of a statement costs a compute host.

usage: .venv/bin/python -m tools.bench_signature [--number N] [--most MS]

The TPM is swtpm, with the same programs and locks as on a compute host. The
exit status is 1 where the median is more than wanted.
"""

import argparse
import importlib
import pathlib
import statistics
import sys
import tempfile
import time
import types
import typing

from nova_isolation.attester import key_folder
from nova_isolation.evidence import envelope
from tools import bench_report

# They are untyped, as all tests are.
_samples: typing.Any = importlib.import_module('tests.unit.evidence.samples')
_swtpm: typing.Any = importlib.import_module('tests.unit.attester.swtpm')


def main() -> int:
    """Run it; see the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--number', type=int, default=200)
    parser.add_argument('--most', type=float, default=50.0)
    bench_report.add_argument(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, _swtpm.Swtpm() as tpm:
        tpm.launch('a hypervisor')
        by_tpm, by_file = (
            _signatures(kind, pathlib.Path(folder, kind), tpm, options.number)
            for kind in ('tpm', 'file')
        )
    bench_report.finish(
        options.json,
        [
            bench_report.row('signature', 'by the TPM', 'ms', by_tpm),
            bench_report.row('signature', 'by a key in a file', 'ms', by_file),
        ],
    )
    median = statistics.median(by_tpm)
    if median > options.most:
        print(f'{median:.1f} ms, wanted {options.most:g} ms')
    return int(median > options.most)


def _signatures(
    kind: str, folder: pathlib.Path, tpm: typing.Any, number: int
) -> list[float]:
    """The time of each of some signatures, in milliseconds."""
    keys = key_folder.KeyFolder(
        types.SimpleNamespace(
            signing_key=kind,
            key_dir=str(folder),
            tpm_tcti=tpm.tcti,
            tpm_key_handle='0x81020001',
            tpm_ek_handle='0x81010001',
        )
    )
    keys.create(False, '')
    signer = keys.signer()
    took = []
    for _ in range(number):
        start = time.perf_counter()
        envelope.seal(_samples.OPERATOR, signer)
        took.append((time.perf_counter() - start) * 1e3)
    return took


if __name__ == '__main__':
    sys.exit(main())
