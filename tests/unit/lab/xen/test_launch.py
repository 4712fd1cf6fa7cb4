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

"""The TPM of a compute host, by swtpm, and simulated measurements."""

import hashlib
from pathlib import Path

import fixtures
import testtools

from lab.cloud import xen_launch
from lab.config import site as sites
from lab.keylime import tpm
from lab.run import errors
from lab.run import layout as layouts
from lab.run import ports
from lab.run import supervisor as supervisors
from lab.xen import image
from tests.unit.attester import swtpm


def _sha256(*data):
    return hashlib.sha256(b''.join(data)).digest()


class _Attestation:
    """What a launch needs of the lab's, with one TPM."""

    def __init__(self, made, supervisor):
        self._tpm = made
        self._supervisor = supervisor

    def launch(self, host, text):
        self._tpm.launch(self._supervisor, text)

    def extend(self, host, pcr, digests):
        self._tpm.extend(self._supervisor, pcr, digests)

    def pcr(self, host, index):
        return self._tpm.read(self._supervisor, index)


class LaunchTest(testtools.TestCase):
    """On a real swtpm."""

    def setUp(self):
        super().setUp()
        folder = Path(self.useFixture(fixtures.TempDir()).path)
        self.files = image.Image(folder)
        self.files.hypervisor.write_bytes(b'xen')
        self.files.kernel.write_bytes(b'linux')
        self.files.initramfs.write_bytes(b'initramfs')
        layout = layouts.Layout(folder / 'state')
        layout.make()
        self.supervisor = supervisors.Supervisor(layout)
        machine = self.useFixture(swtpm.Swtpm())
        base = machine.control - ports.Ports(0).tpm(0)[1]
        self.tpm = tpm.Tpm(
            sites.Site(layout, ports.Ports(base), {}), 'host', 0
        )
        self.attestation = _Attestation(self.tpm, self.supervisor)

    def simulate(self, *arguments):
        launch = xen_launch.Launch(self.files, *arguments)
        launch.simulate(self.attestation, 'host')
        return launch.policy

    def test_values(self):
        policy = self.simulate('placeholder flask=enforcing')
        first = _sha256(
            _sha256(b'placeholder flask=enforcing'), _sha256(b'xen')
        )
        self.assertEqual([_sha256(bytes(32), first).hex()], policy[18])
        for pcr, (value,) in policy.items():
            self.assertEqual(value, self.tpm.read(self.supervisor, pcr))

    def test_each_part_counts(self):
        policy = self.simulate()
        self.assertEqual({17, 18}, set(policy))
        other = self.simulate('placeholder flask=permissive')
        for pcr in (17, 18):
            self.assertNotEqual(policy[pcr], other[pcr])
        for path in (self.files.hypervisor, self.files.kernel):
            path.write_bytes(b'changed')
            found = self.simulate()
            self.assertNotEqual(policy[17], found[17])
            policy = found
        self.files.initramfs.write_bytes(b'changed')
        self.assertNotEqual(policy[17], self.simulate()[17])

    def test_a_register_that_no_loader_extends(self):
        self.simulate()
        error = self.assertRaises(
            errors.LabError, self.tpm.extend, self.supervisor, 24, [bytes(32)]
        )
        self.assertIn('does not extend PCR 24', str(error))

    def test_an_operating_system_cannot(self):
        policy = self.simulate()
        machine = self.supervisor.output(
            ['tpm2_pcrextend', f'18:sha256={"00" * 32}'],
            60,
            environment={'TPM2TOOLS_TCTI': self.tpm.tcti},
        )
        self.assertNotEqual(0, machine.returncode)
        self.assertIn('bad locality', machine.stderr)
        self.assertEqual(policy[18], [self.tpm.read(self.supervisor, 18)])
