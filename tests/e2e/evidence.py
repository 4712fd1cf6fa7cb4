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

"""Tests of signed statements, for a class with an attested cloud."""

from collections.abc import Callable
import copy
from typing import Any

from lab.daemons import nova
from lab.keylime import attestd
from nova_isolation.mechanisms.attested import attestation_result
from tests.e2e import attested
from tests.e2e import base

_SECONDS = 300.0
#: Needs no verifier, so a host takes such guests while attestd is away.
_PLAIN_SPECS = {'isolation:hypervisor': 'qemu'}


class Statements(attested.TestCase):
    """A key in a TPM, a log, and who reads it. The cloud is another's."""

    def newest(self, server: Any) -> dict[str, Any]:
        """The newest statement about a server, when the log has one."""
        found: dict[str, Any] = self.cloud.supervisor.wait(
            f'a statement about {server.name}',
            lambda: self.cloud.evidence.newest(server.id, 'operator'),
            _SECONDS,
            every=0.5,
        )
        return found

    def assertVerified(
        self, status: int, bundle: object, word: str, nonce: str = ''
    ) -> None:
        """What the verifier says of a statement, without a network."""
        found = self.cloud.evidence.verify(bundle, nonce)
        self.assertEqual(status, found.returncode, found)
        self.assertIn(word, found.stdout)

    def test_statements(self) -> None:
        evidence, host = self.cloud.evidence, base.PLAIN
        evidence.make_key(host)
        evidence.enroll(host)
        server = self.boot(attested.LAUNCHED, host=host)
        self.assertActive(server, host)
        bundle = self.newest(server)
        self.assertVerified(0, bundle, f'host {host} verified the server')
        self.assertVerified(0, bundle, 'The key is in the TPM')
        self.assertVerified(1, bundle, 'evidence.nonce', 'another-nonce')
        altered = copy.deepcopy(bundle)
        payload = altered['envelope']['payload']
        altered['envelope']['payload'] = payload[:90] + 'Q' + payload[91:]
        self.assertNotEqual(bundle, altered)
        self.assertVerified(1, altered, 'NOT ACCEPTED')
        kept = self.cloud.layout.state / 'kept-head'
        kept.unlink(missing_ok=True)
        self.assertEqual(0, evidence.check_log(kept).returncode)

        # The log is away: statements wait, and guests do not.
        self.attestation.stop_attestd()
        self.addCleanup(self._restart_attestd)
        other = self.boot(_PLAIN_SPECS, host=host)
        self.assertActive(other, host)
        self._restart_attestd()
        self.verdicts.wait_at_attestd(host, attestation_result.GOOD)
        waited = self.newest(other)
        self.assertVerified(0, waited, 'meets its flavor')
        found = evidence.check_log(kept)
        self.assertEqual(0, found.returncode, found)

        # Another hypervisor: the TPM signs nothing, and the key is lost.
        lost = self._logged(
            attestd.NAME, 'is lost, because the host has failed'
        )
        unsigned = self._logged(
            nova.compute_name(host), 'PCR 17 is another one'
        )
        self.lose_trust(host)
        lost()
        self.act(other, {'reboot': {'type': 'HARD'}}).raise_for_status()
        self.guests.wait_status(other, ('ACTIVE',))
        unsigned()
        # The receipt is one for the newest head, which has the loss.
        newest = self.newest(other)
        self.assertEqual(waited['envelope'], newest['envelope'])
        self.assertVerified(0, newest, 'meets its flavor')
        # What was said is not taken back.
        self.assertVerified(0, bundle, 'meets its flavor')

    def _logged(self, daemon: str, text: str) -> Callable[[], object]:
        """Return what waits until a daemon has logged a text, after now."""
        log = self.cloud.supervisor.log(daemon)
        seen = len(log.read_bytes())
        return lambda: self.cloud.supervisor.wait(
            f'"{text}" in the log of {daemon}',
            lambda: text.encode() in log.read_bytes()[seen:],
            _SECONDS,
            every=0.5,
        )

    def _restart_attestd(self) -> None:
        if attestd.NAME not in self.cloud.supervisor.daemons():
            self.attestation.start_attestd()
