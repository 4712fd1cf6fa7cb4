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

"""The enrollment of a key that is in a TPM.

The key is taken when the TPM of the host has answered a challenge that only
this TPM can answer (credential activation).
"""

from collections.abc import Sequence
import hmac
import secrets
import threading
import time
import typing

from nova_isolation.attestation import provider
from nova_isolation.attestation.keylime import registrar_api
from nova_isolation.attestd.evidence import credential
from nova_isolation.attestd.evidence import keyring as keyrings
from nova_isolation.attestd.evidence import refusal
from nova_isolation.attestd.evidence import standing
from nova_isolation.attestd.evidence import tpm_key
from nova_isolation.evidence import envelope
from nova_isolation.evidence import statement as statements

#: Seconds in which a challenge must be answered.
CHALLENGE_SECONDS = 60
_SECRET_BYTES = 32
#: How many challenges may be open, and of them how many of one client.
_MAX_CHALLENGES = (1000, 8)


class Challenge(typing.NamedTuple):
    """A challenge that only the TPM with both keys can answer.

    :ivar name: of the challenge
    :ivar credential: what ``tpm2_activatecredential -i`` reads
    """

    name: str
    credential: bytes


class _Open(typing.NamedTuple):
    """What is known of a challenge that is not answered yet."""

    key: keyrings.Key
    tpm: registrar_api.TpmKeys
    secret: bytes
    until: float
    client: object


class Enrollment:
    """Takes keys that are in a TPM, by a challenge."""

    def __init__(
        self,
        keyring: keyrings.Keyring,
        standings: standing.Standings,
        registrar: registrar_api.Registrar | None,
        pcrs: Sequence[int],
    ) -> None:
        """:param keyring: takes the keys

        :param standings: of the hosts
        :param registrar: knows the endorsement keys; None: no key in a TPM is
            taken
        :param pcrs: the registers to which each key must be bound
        """
        self._keyring = keyring
        self._standings = standings
        self._registrar = registrar
        self._pcrs = pcrs
        self._open: dict[str, _Open] = {}
        self._lock = threading.Lock()

    def challenge(
        self, agent: str, public: bytes, client: object
    ) -> Challenge:
        """Judge a key, and make a challenge for it. Asks the registrar.

        :param agent: the agent of the host
        :param public: the key's TPM2B_PUBLIC
        :param client: who asks; each client has a share
        :raises nova_isolation.attestd.evidence.refusal.Refused: the key or
            the host is not as it must be
        """
        if self._registrar is None:
            raise refusal.Refused(
                refusal.Code.REGISTRAR,
                'wanted [evidence] registrar, the address of a registrar of '
                'Keylime; found none, so no key in a TPM is taken',
            )
        good = self._standings.of(agent)
        key = tpm_key.judge(public, self._pcrs, good.approved)
        try:
            tpm = self._registrar.keys(agent)
        except provider.ProviderError as error:
            raise refusal.Refused(
                refusal.Code.REGISTRAR, str(error)
            ) from error
        self._keyring.check_pin(agent, tpm)
        ek = credential.endorsement_key(tpm.ek)
        secret = secrets.token_bytes(_SECRET_BYTES)
        pem = tpm_key.pem(key.public)
        opened = _Open(
            keyrings.Key(
                envelope.trusted(pem.encode()).keyid,
                statements.KeyKind.TPM,
                pem,
                good.host,
                agent,
                keyrings.State.ACTIVE,
                int(time.time()),
                'enrolled by credential activation',
            ),
            tpm,
            secret,
            time.monotonic() + CHALLENGE_SECONDS,
            client,
        )
        name = secrets.token_hex(16)
        self._remember(name, opened)
        return Challenge(name, credential.make(ek, key.name, secret))

    def answer(self, name: str, secret: bytes) -> str:
        """Take the key of a challenge, if the secret is the right one.

        Each challenge can be answered once.

        :returns: the id of the key
        :raises nova_isolation.attestd.evidence.refusal.Refused: the secret is
            wrong, or the host has lost its standing meanwhile
        """
        with self._lock:
            opened = self._open.pop(name, None)
        if opened is None or opened.until < time.monotonic():
            raise refusal.Refused(
                refusal.Code.CHALLENGE,
                'wanted the answer to an open challenge within '
                f'{CHALLENGE_SECONDS} s, found no such challenge',
            )
        if not hmac.compare_digest(secret, opened.secret):
            raise refusal.Refused(
                refusal.Code.CHALLENGE,
                'wanted the secret that the TPM decrypts, found another one',
            )
        self._standings.of(opened.key.agent)
        self._keyring.enroll(opened.key, opened.tpm)
        return opened.key.key_id

    def _remember(self, name: str, opened: _Open) -> None:
        most, share = _MAX_CHALLENGES
        now = time.monotonic()
        with self._lock:
            for old in [
                key for key, one in self._open.items() if one.until < now
            ]:
                del self._open[old]
            theirs = sum(
                one.client == opened.client for one in self._open.values()
            )
            if theirs >= share or len(self._open) >= most:
                raise refusal.Refused(
                    refusal.Code.BUSY,
                    f'wanted at most {share} open challenges of one client '
                    f'and {most} of all, found {theirs} and '
                    f'{len(self._open)}; try again in '
                    f'{CHALLENGE_SECONDS} s',
                )
            self._open[name] = opened
