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

"""Measure how soon a host is refused after the launch of something else.

The bench runs the lab's Keylime, a TPM and nova-isolation-attestd, without a
cloud. It measures the time from the change of PCR 17 to the verifier's
verdict, and to the refusal by the code with which nova-scheduler decides. The
first time depends on Keylime, which quotes every 2 s; the difference is this
project's. Goal: a difference under 1 s.
"""

import argparse
import concurrent.futures
from pathlib import Path
import tempfile
import time

from lab.config import ini
from lab.config import site as sites
from lab.keylime import attestation as attestations
from lab.keylime import attestd
from lab.keylime import decider as deciders
from lab.keylime import tpm
from lab.run import errors
from lab.run import layout as layouts
from lab.run import plan as plans
from lab.run import processes
from lab.run import progress as progresses
from lab.run import signals
from lab.run import supervisor as supervisors
from tools import bench_report

_HOST = 'host1'
_GOOD, _OTHER = 'an approved hypervisor', 'another one'
_SECONDS = 60.0
_EVERY = 0.02


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=20)
    bench_report.add_argument(parser)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix='nova-isolation-') as folder,
        signals.termination_raises(),
    ):
        layout = layouts.Layout(Path(folder) / 'lab')
        layout.make()
        supervisor = supervisors.Supervisor(layout)
        try:
            found = _run(layout, supervisor, options.rounds)
        finally:
            with signals.ignored():
                supervisor.resume()
                supervisor.stop(list(supervisor.daemons()), 10)
                processes.kill(list(processes.belonging(layout)), 10)
    bench_report.finish(options.json, found)


def _run(
    layout: layouts.Layout, supervisor: supervisors.Supervisor, rounds: int
) -> list[bench_report.Row]:
    site, progress = sites.Site.make(layout), progresses.Progress()
    attestation = attestations.Attestation(supervisor, site, progress, [_HOST])
    attestation.make()
    layouts.write(layout.nova_conf, ini.render(attestd.client(site)))
    plan = plans.Plan(supervisor, progress)
    attestation.add_steps(plan)
    plan.run()
    attestation.launch(_HOST, _GOOD)
    attestation.enroll(_HOST, {tpm.LAUNCH: [tpm.measured(_GOOD)]})
    found = []
    with (
        deciders.Decider(layout) as decider,
        concurrent.futures.ThreadPoolExecutor(1) as pool,
    ):
        for number in range(rounds):
            _wait_accepted(decider)
            # Each round begins at another point of the verifier's interval.
            time.sleep(number % 10 / 5)
            since = time.monotonic()
            attestation.launch(_HOST, _OTHER)
            verdict = pool.submit(_verdict_at, attestation)
            decider.wait_refused(_HOST, _SECONDS)
            refused = time.monotonic() - since
            found.append((verdict.result() - since, refused))
            attestation.launch(_HOST, _GOOD)
            attestation.reactivate(_HOST)
    cases = {
        "the verifier's verdict": [verdict for verdict, _ in found],
        'refused': [refused for _, refused in found],
        'refused after the verdict': [r - v for v, r in found],
    }
    return bench_report.rows('relaunch', 's', cases)


def _verdict_at(attestation: attestations.Attestation) -> float:
    """The time at which the verifier reports that the host failed."""
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        found = attestation.verdicts.at_verifier(_HOST)
        if found and found['attestation_status'] == 'FAIL':
            return time.monotonic()
        time.sleep(_EVERY)
    raise errors.LabError(
        f'the verifier reported no failure within {_SECONDS:.0f} s'
    )


def _wait_accepted(decider: deciders.Decider) -> None:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        _, unmet = decider.decide(_HOST)
        if not unmet:
            return
        time.sleep(_EVERY)
    raise errors.LabError(
        f'{_HOST} is not accepted after {_SECONDS:.0f} s: {unmet}'
    )


if __name__ == '__main__':
    main()
