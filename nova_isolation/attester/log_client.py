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

"""What a host says to the log of nova-isolation-attestd."""

import base64
import binascii
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import json
import threading
import typing

from nova_isolation.attester import errors
from nova_isolation.evidence import errors as bad
from nova_isolation.evidence import statement as statements
from nova_isolation.evidence import strict_json
from nova_isolation.https import https_client
from nova_isolation.https import https_error
from nova_isolation.model import printable

#: The largest answer, in bytes. A receipt has some 2000.
_MAX_ANSWER = 8 * 2**20

#: How many letters of a refusal are shown.
_WORDS = 300

Json = dict[str, typing.Any]


@dataclasses.dataclass(frozen=True)
class Refusal:
    """Why the log has not taken a statement.

    :ivar code: e.g. ``standing``
    :ivar detail: what is to be done
    """

    code: str
    detail: str

    def __str__(self) -> str:
        return f'{self.detail} [{self.code}]'


class Options(typing.Protocol):
    """What is read of the group ``[isolation_evidence]``."""

    url: str
    ca_file: str
    cert_file: str
    key_file: str
    timeout: float
    clock_skew: float


class LogClient:
    """Asks the log at ``[isolation_evidence] url``.

    One thread at a time asks; others wait for it, as long as an answer may
    take.
    """

    def __init__(self, options: Options) -> None:
        """:param options: the group ``[isolation_evidence]``
        :raises nova_isolation.attester.errors.AttesterError: they cannot be
            used
        """
        if not options.url.startswith('https://'):
            raise errors.AttesterError(
                f'[isolation_evidence] url is {options.url!r}, must be '
                'https://HOST:PORT of the log of a nova-isolation-attestd'
            )
        self._url = f'{options.url.rstrip("/")}/v1/evidence'
        self._patience = options.timeout
        self._turn = threading.Lock()
        try:
            self._client = https_client.Client(
                ca_file=options.ca_file,
                cert_file=options.cert_file,
                key_file=options.key_file,
                timeout=options.timeout,
                clock_skew=options.clock_skew,
                limit=_MAX_ANSWER,
            )
        except https_error.HttpsError as error:
            raise errors.AttesterError(
                f'[isolation_evidence]: {error}'
            ) from error

    def send(self, envelopes: Sequence[bytes]) -> list[Json | Refusal]:
        """Hand statements to the log.

        :param envelopes: as :func:`nova_isolation.evidence.envelope.seal`
            returns them
        :returns: for each of them its receipt, or why it was not taken
        :raises nova_isolation.attester.errors.AttesterError: the log cannot
            be asked now
        """
        answer = self._post(
            'statements',
            {'envelopes': [json.loads(one) for one in envelopes]},
        )
        receipts = answer.get('receipts')
        if not isinstance(receipts, list) or len(receipts) != len(envelopes):
            raise self._malformed('a receipt for each statement')
        found: list[Json | Refusal] = []
        for one in receipts:
            if not isinstance(one, dict):
                raise self._malformed('receipts that are objects')
            found.append(_refusal(one) if 'code' in one else one)
        return found

    def challenge(self, agent: str, public: bytes) -> tuple[str, bytes]:
        """Name a key in the TPM, and return the challenge for it.

        :param agent: the name by which the verifier knows this host
        :param public: TPM2B_PUBLIC
        :returns: the id of the challenge, and the credential
        :raises nova_isolation.attester.errors.AttesterError: the log does not
            take the key
        """
        answer = self._post(
            'keys', {'kind': 'tpm', 'agent': agent, 'public': _text(public)}
        )
        try:
            name = answer['id']
            if not isinstance(name, str) or not name.isalnum():
                raise ValueError(name)
            return name, base64.b64decode(answer['credential'], validate=True)
        except (KeyError, TypeError, ValueError, binascii.Error):
            raise self._malformed('an id and a credential') from None

    def activate(self, challenge: str, secret: bytes) -> str:
        """Answer a challenge.

        :param challenge: its id
        :param secret: what the TPM has decrypted
        :returns: the id of the key, which the log knows from now on
        :raises nova_isolation.attester.errors.AttesterError: the log does not
            take the key
        """
        answer = self._post(
            f'keys/{challenge}/activation', {'secret': _text(secret)}
        )
        found = answer.get('keyid')
        if not isinstance(found, str):
            raise self._malformed('a keyid')
        return found

    def newest(self, uuid: str, audience: statements.Audience) -> Json | None:
        """Return the newest statement about a server that the log has.

        :param uuid: the UUID of the server
        :param audience: for whom the statement is
        :returns: the bundle, unverified JSON values; None: the log has none
        :raises nova_isolation.attester.errors.AttesterError: the log cannot
            be asked now
        """
        answer = self._ask(f'servers/{uuid}?audience={audience.value}')
        found = answer.get('bundle')
        if found is not None and not isinstance(found, dict):
            raise self._malformed('a bundle or null')
        return found

    def close(self) -> None:
        """Cancel what is under way."""
        self._client.close()

    def _post(self, path: str, value: Mapping[str, object]) -> Json:
        return self._ask(path, strict_json.dumps(value))

    def _ask(self, path: str, body: bytes | None = None) -> Json:
        """Send a GET request, or a POST request with a body."""
        url = f'{self._url}/{path}'
        if not self._turn.acquire(timeout=self._patience):
            raise errors.AttesterError(
                f'{url}: other questions to the log have not ended in time'
            )
        try:
            answer = (
                self._client.get(url)
                if body is None
                else self._client.post(
                    url, body, {'Content-Type': 'application/json'}
                )
            )
        except https_error.HttpsError as error:
            raise errors.AttesterError(str(error)) from error
        finally:
            self._turn.release()
        try:
            found = strict_json.loads(answer.body, _MAX_ANSWER)
        except bad.BadEvidence as error:
            raise errors.AttesterError(
                f'{url}: status {answer.status}, {error}'
            ) from error
        if not isinstance(found, dict):
            raise self._malformed('an object')
        if answer.status not in (200, 201):
            raise errors.AttesterError(
                f'{url}: status {answer.status}: {_refusal(found)}'
            )
        return found

    def _malformed(self, wanted: str) -> errors.AttesterError:
        return errors.AttesterError(
            f'{self._url}: wanted {wanted}, found another answer; check that '
            'a nova-isolation-attestd of this release listens there'
        )


def _refusal(value: Json) -> Refusal:
    return Refusal(
        printable.one_line(value.get('code', ''), _WORDS),
        printable.one_line(value.get('detail', ''), _WORDS),
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
