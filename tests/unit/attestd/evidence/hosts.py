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

"""Hosts, their verdicts, keys and statements for tests of the log."""

import datetime
import time
import types

import fixtures

from nova_isolation.attestation import provider
from nova_isolation.attestation import refresher
from nova_isolation.attestation import snapshot
from nova_isolation.attestd.evidence import intake
from nova_isolation.attestd.evidence import keyring
from nova_isolation.attestd.evidence import log
from nova_isolation.attestd.evidence import standing
from nova_isolation.attestd.evidence import store
from nova_isolation.evidence import envelope
from nova_isolation.evidence import statement as statements
from nova_isolation.evidence import strict_json
from nova_isolation.mechanisms.attested import attestation_result
from tests.unit.evidence import samples

AGENT = '5dbf4663-d8da-5e31-bd10-91589dbfff2d'
HOST = 'compute-1'
PCR17 = '17' * 32


def result(state=attestation_result.GOOD, pcrs=(f'17={PCR17}',)):
    """A result of a verifier, as text."""
    return attestation_result.dumps(
        attestation_result.AttestationResult(state, pcrs=pcrs)
    )


def verdict(agent=AGENT, ago=3.0, document=None):
    """A verdict about a host."""
    at = time.time() - ago
    return snapshot.Verdict(
        result() if document is None else document, at, at, agent, 'https://v'
    )


def known(*, by=snapshot.BY_HOST, **verdicts):
    """A snapshot; by default with the one good host."""
    return snapshot.Snapshot(
        by,
        types.MappingProxyType(
            {name.replace('_', '-'): one for name, one in verdicts.items()}
        ),
    )


def statement(**changed):
    """What the one host states now, by its key in a TPM."""
    now = f'{datetime.datetime.now(datetime.timezone.utc):%FT%TZ}'
    return samples.dataclasses.replace(
        samples.OPERATOR,
        **{
            'host': statements.Host(HOST, 'fa' * 32, AGENT, 3),
            'key': statements.KeyKind.TPM,
            'started': now,
            'finished': now,
            'nonce': f'nonce-{time.monotonic_ns()}',
            **changed,
        },
    )


def public(signer):
    """The public key of a signer, PEM."""
    return samples.pem(signer._private_key.public_key()).decode()


def key(signer, **changed):
    """The key of the one host, as the storage has it."""
    return keyring.Key(
        signer.public_key.keyid,
        statements.KeyKind.TPM,
        public(signer),
        HOST,
        AGENT,
        keyring.State.ACTIVE,
        1,
        'a test',
    )._replace(**changed)


class Provider(provider.Provider):
    """Returns what a test has set."""

    def __init__(self):
        self.known = known(compute_1=verdict())

    def fetch(self, before):
        return self.known


class Hosts(fixtures.Fixture):
    """Verdicts, keys and the log, in this process, with a real database."""

    def _setUp(self):
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.url = f'sqlite:///{self.folder}/log.sqlite'
        self.store = store.Store(self.url)
        self.addCleanup(self.store.close)
        self.provider = Provider()
        self.refresher = refresher.Refresher(
            self.provider, max_age=120.0, clock_skew=5.0
        )
        self.refresher.refresh()
        self.standings = standing.Standings(self.refresher)
        self.keyring = keyring.Keyring(self.store)
        self.log_signer = samples.signer()
        self.log = log.Log(self.store, self.log_signer)
        self.intake = intake.Intake(
            self.log,
            self.keyring,
            self.standings,
            max_delay=600.0,
            clock_skew=5.0,
        )
        self.signer = samples.signer()
        self.keyring.enroll(key(self.signer))

    def say(self, **verdicts):
        """What the verifier says from now on."""
        self.provider.known = known(**verdicts)
        self.refresher.refresh()

    def seal(self, statement_=None, signer=None):
        """An envelope, JSON values."""
        return strict_json.loads(
            envelope.seal(statement_ or statement(), signer or self.signer),
            2**20,
        )

    def take(self, *envelopes):
        """What becomes of some statements: receipts, or codes."""
        return [
            getattr(one, 'code', one) for one in self.intake.take(envelopes)
        ]
