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
"""The provider ``attestd`` with a real daemon keeps to the contract."""

import signal
import time
import types

from nova_isolation.attestation import attestd_client
from nova_isolation.attestation import snapshot
from nova_isolation.mechanisms.attested import attestation_result
from nova_isolation.testing import provider_contract
from tests.unit import base
from tests.unit.attestd import process


class AttestdTest(provider_contract.ProviderContract, base.TestCase):
    """The third party is the daemon; what it knows is in a file."""

    name = 'attestd'
    provider_class = attestd_client.AttestdProvider

    def setUp(self):
        super().setUp()
        self.daemon = self.useFixture(process.Attestd())
        self.daemon.write(snapshot.Snapshot())
        self.daemon.start()

    def common(self):
        return {
            'ca_file': self.daemon.authority.ca_file,
            # The provider waits for news for a quarter of that.
            'max_age': 1.0,
        }

    def own(self):
        return {'url': f'https://127.0.0.1:{self.daemon.port}'}

    def say(self, said):
        now = time.time()
        wanted = snapshot.Snapshot(
            verdicts=types.MappingProxyType(
                {
                    host: snapshot.Verdict(
                        attestation_result.dumps(
                            attestation_result.AttestationResult(
                                state, '' if state == 'good' else 'bad'
                            )
                        ),
                        None if age is None else now - age,
                        now,
                        f'agent-of-{host}',
                        'https://verifier:8881',
                    )
                    for host, (state, age) in said.items()
                }
            )
        )
        self.daemon.write(wanted)
        self.wait_for(
            lambda answer: (
                answer.status_code == 200
                and snapshot.loads(answer.content) == wanted
            )
        )

    def broken(self):
        self.daemon.process.send_signal(signal.SIGSTOP)
        yield 'accepts and never answers'
        self.daemon.process.send_signal(signal.SIGCONT)
        self.daemon.kill()
        yield 'is gone'
        text = self.daemon.verdicts.read_text()
        self.daemon.verdicts.unlink()
        self.daemon.start()
        yield 'knows nothing yet'
        self.daemon.verdicts.write_text(text)
        self.wait_for(lambda answer: answer.status_code == 200)

    def wait_for(self, is_so):
        """Until the daemon answers so."""
        until = time.monotonic() + process.PATIENCE
        while not is_so(self.daemon.get()):
            self.assertLess(time.monotonic(), until)
            time.sleep(0.05)
