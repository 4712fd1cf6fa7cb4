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

"""Run benchmarks, print one table and write it as JSON.

usage: .venv/bin/python tools/bench.py [--json FILE] [--state DIR] all|NAME ...

A benchmark is no test: it has no limit and fails for no figure. Each runs in
a process of its own, and each compares in one run, in turn: tagged and
untagged guests, or this project and Nova. Those that need a cloud use the one
of --state (``python -m lab --state DIR up``); without it they are not run,
and the table says so.
"""

import argparse
from pathlib import Path
import subprocess  # nosec B404: to run the benchmarks
import sys
import tempfile
import typing

_ROOT = Path(__file__).resolve().parent.parent
# Whichever way this file is run.
sys.path.insert(0, str(_ROOT))

from tools import bench_report  # noqa: E402


class Bench(typing.NamedTuple):
    """A benchmark.

    :ivar what: what it measures
    :ivar seconds: after which it is ended
    :ivar in_cloud: whether it needs a cloud that runs
    :ivar arguments: those with which ``all`` runs it
    """

    what: str
    seconds: float
    in_cloud: bool = False
    arguments: tuple[str, ...] = ()


BENCHES = {
    'hook': Bench('the libvirt hook at the start of a guest', 300),
    'filter': Bench(
        "the scheduler's filter", 900, arguments=('--hosts', '10000')
    ),
    'attestation': Bench('snapshots, webhooks, the filter', 1800),
    'api': Bench('explain in nova-isolation-api', 400),
    'evidence': Bench('the log of statements', 900),
    'signature': Bench('the signature of a statement', 300),
    'relaunch': Bench('from a changed PCR to a refusal', 1800),
    'facts': Bench('the measurement of a host', 300, in_cloud=True),
    'watch': Bench('the verification of running guests', 600, in_cloud=True),
    'watch_many': Bench('one pass of the watch over 500 guests', 900),
    'start': Bench('the start of a guest', 1800, in_cloud=True),
    'migration': Bench('the live migration of a guest', 3600, in_cloud=True),
}


def main() -> int:
    """The command.

    :returns: 1 where a benchmark could not be run
    """
    parser = argparse.ArgumentParser(
        prog='tools/bench.py',
        description=(__doc__ or '').partition('usage:')[0],
        epilog='NAME is one of: '
        + '; '.join(f'{name} ({one.what})' for name, one in BENCHES.items()),
    )
    bench_report.add_argument(parser)
    parser.add_argument(
        '--state', type=Path, metavar='DIR', help='the lab cloud to use'
    )
    parser.add_argument('names', nargs='+', metavar='NAME')
    options = parser.parse_args()
    names = list(BENCHES) if options.names == ['all'] else options.names
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        parser.error(f'unknown: {", ".join(unknown)}')
    found: list[bench_report.Row] = []
    missing = []
    for name in names:
        try:
            found += _run(name, options.state)
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            missing.append(f'{name}: {error}')
    print()
    bench_report.finish(options.json, found)
    for line in missing:
        print(f'not run: {line}')
    return 1 if missing else 0


def _run(name: str, state: Path | None) -> list[bench_report.Row]:
    """Run one benchmark in a process of its own.

    :raises RuntimeError: it needs a cloud, or has failed
    """
    bench = BENCHES[name]
    if bench.in_cloud and state is None:
        raise RuntimeError('it needs a cloud that runs, with --state')
    print(f'== {name}: {bench.what}', flush=True)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / 'rows.json'
        command = [sys.executable, '-m', f'tools.bench_{name}', '--json']
        command += [str(file), *bench.arguments]
        if bench.in_cloud:
            command += ['--state', str(state)]
        status = subprocess.run(  # noqa: S603  # nosec B603: our own module
            command,
            cwd=_ROOT,
            # Its own table: one table is shown in the end.
            stdout=subprocess.DEVNULL,
            timeout=bench.seconds,
            check=False,
        ).returncode
        if not file.exists():
            raise RuntimeError(f'it ended with {status} and no figures')
        return bench_report.read(file)


if __name__ == '__main__':
    sys.exit(main())
