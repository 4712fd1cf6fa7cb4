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

"""A signed statement: a DSSE envelope with one signature of a host.

What is accepted has one form only. So nobody but the owner of the key can
make a second envelope for the same content: base64 is canonical, and an ECDSA
signature is DER with the lower of the two values that verify. Still, the key
may sign the same content twice, so :attr:`Sealed.digest`, which is that of the
content, names a statement, and never the digest of an envelope.
"""

import base64
import binascii
from collections.abc import Iterable
import copy
import dataclasses
import hashlib
import re
import typing

from cryptography import exceptions
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric import utils
from securesystemslib import dsse
from securesystemslib import signer as signers

from nova_isolation.evidence import errors
from nova_isolation.evidence import statement as statements
from nova_isolation.evidence import statement_form
from nova_isolation.evidence import strict_json

#: The payload type of in-toto's envelopes.
PAYLOAD_TYPE = 'application/vnd.in-toto+json'

#: The largest size of an envelope, in bytes of JSON.
MAX_BYTES = 48 * 1024

#: The order of P-256: FIPS 186-5, D.1.2.3 of NIST SP 800-186.
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

_KEY_ID = re.compile('[0-9a-f]{64}')


@dataclasses.dataclass(frozen=True)
class Sealed:
    """An envelope that was read and not verified yet.

    :ivar value: the envelope, JSON values
    :ivar key_id: the id of the key that is said to have signed
    :ivar digest: SHA-256 of the signed content (DSSE's pre-authentication
        encoding), hexadecimal: the name of the statement
    """

    value: dict[str, typing.Any]
    key_id: str
    digest: str

    def open(self, keys: Iterable[signers.Key]) -> statements.Statement:
        """Verify the signature, and return the statement.

        :param keys: the keys that are trusted, by :func:`trusted`
        :raises nova_isolation.evidence.errors.BadEvidence: none of the keys
            has signed, or what is signed is no statement
        """
        return statement_form.loads(self.payload(keys))

    def payload(self, keys: Iterable[signers.Key]) -> bytes:
        """Verify the signature, and return what is signed.

        :param keys: the keys that are trusted, by :func:`trusted`
        :raises nova_isolation.evidence.errors.BadEvidence: none of the keys
            has signed
        """
        wanted = [one for one in keys if one.keyid == self.key_id]
        if not wanted:
            raise errors.BadEvidence(
                errors.Code.UNKNOWN_KEY,
                f'wanted a signature of a trusted key, found one of the key '
                f'{self.key_id}',
            )
        try:
            # The library changes what it is given.
            found = dsse.Envelope.from_dict(copy.deepcopy(self.value))
            found.verify(wanted, 1)
        except Exception as error:
            # It raises errors of many types.
            raise errors.BadEvidence(
                errors.Code.SIGNATURE,
                f'wanted the signature of the key {self.key_id} over this '
                f'content, found another ({type(error).__name__})',
            ) from error
        return found.payload


def open_envelope(
    given: bytes | dict[str, typing.Any], keys: Iterable[signers.Key]
) -> statements.Statement:
    """Read an envelope, verify its signature, and return the statement.

    :param given: see :func:`read`
    :param keys: see :meth:`Sealed.open`
    :raises nova_isolation.evidence.errors.BadEvidence: see both
    """
    return read(given).open(keys)


def read(
    given: bytes | dict[str, typing.Any], payload_type: str = PAYLOAD_TYPE
) -> Sealed:
    """Read an envelope. Nothing in it is verified.

    :param given: its JSON text, or the values of one that
        :func:`nova_isolation.evidence.strict_json.loads` has read
    :param payload_type: what the envelope must say that it holds
    :raises nova_isolation.evidence.errors.BadEvidence: the envelope is
        malformed
    """
    value = (
        strict_json.loads(given, MAX_BYTES)
        if isinstance(given, bytes)
        else given
    )
    _members(value, 'payload', 'payloadType', 'signatures')
    if value['payloadType'] != payload_type:
        raise errors.BadEvidence(
            errors.Code.PAYLOAD_TYPE,
            f'wanted the payload type {payload_type}, found another',
        )
    payload = _decoded(value['payload'], statement_form.MAX_BYTES)
    signatures = value['signatures']
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise _bad('exactly one signature')
    [signature] = signatures
    _members(signature, 'keyid', 'sig')
    key_id = signature['keyid']
    if not isinstance(key_id, str) or not _KEY_ID.fullmatch(key_id):
        raise _bad('a keyid of 64 lower-case hexadecimal digits')
    raw = _decoded(signature['sig'], 80)
    try:
        is_unique = _unique(raw) == raw
    except ValueError:
        is_unique = False
    if not is_unique:
        raise _bad('an ECDSA signature in DER with the lower value of s')
    return Sealed(
        value,
        key_id,
        hashlib.sha256(
            dsse.Envelope(payload, payload_type, {}).pae()
        ).hexdigest(),
    )


def seal(statement: statements.Statement, signer: signers.Signer) -> bytes:
    """Sign a statement, and return the envelope as JSON.

    :param statement: the statement
    :param signer: of a key that :func:`trusted` takes
    :raises nova_isolation.evidence.errors.BadEvidence: no reader would accept
        the envelope, e.g. because the signer has signed with another key
    :raises Exception: whatever the signer raises
    """
    data = strict_json.dumps(
        sign(statement_form.dumps(statement), PAYLOAD_TYPE, signer)
    )
    open_envelope(data, [signer.public_key])
    return data


def sign(
    payload: bytes, payload_type: str, signer: signers.Signer
) -> dict[str, typing.Any]:
    """Sign any content, and return the envelope, JSON values.

    :param payload: what is signed
    :param payload_type: what it is
    :param signer: of a key that :func:`trusted` takes
    :raises Exception: whatever the signer raises
    """
    key = signer.public_key
    sealed = dsse.Envelope(payload, payload_type, {})
    made = signer.sign(sealed.pae())
    sealed.signatures[key.keyid] = signers.Signature(
        key.keyid, _unique(bytes.fromhex(made.signature)).hex()
    )
    found: dict[str, typing.Any] = sealed.to_dict()
    return found


def trusted(pem: bytes) -> signers.SSlibKey:
    """Return a public key with which envelopes are opened.

    Its id is the SHA-256 of the DER of its SubjectPublicKeyInfo, hexadecimal.

    :param pem: SubjectPublicKeyInfo, PEM
    :raises nova_isolation.evidence.errors.BadEvidence: the key is malformed,
        or not one of ECDSA on the curve P-256
    """
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, exceptions.UnsupportedAlgorithm) as error:
        raise errors.BadEvidence(
            errors.Code.KEY, f'wanted a public key (PEM), found {error}'
        ) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(
        key.curve, ec.SECP256R1
    ):
        raise errors.BadEvidence(
            errors.Code.KEY,
            'wanted a public key of ECDSA on the curve P-256, found another',
        )
    der = key.public_bytes(
        serialization.Encoding.DER,
        serialization.PublicFormat.SubjectPublicKeyInfo,
    )
    return signers.SSlibKey.from_crypto(key, hashlib.sha256(der).hexdigest())


def _unique(raw: bytes) -> bytes:
    """Return the one form of an ECDSA signature.

    Both s and n - s verify; the lower one is kept.

    :raises ValueError: the signature is not DER
    """
    r, s = utils.decode_dss_signature(raw)
    return utils.encode_dss_signature(r, min(s, _ORDER - s))


def _members(value: object, *names: str) -> None:
    if not isinstance(value, dict) or set(value) != set(names):
        raise _bad(f'an object of exactly these members: {", ".join(names)}')


def _decoded(text: object, limit: int) -> bytes:
    try:
        if not isinstance(text, str) or len(text) > 4 * (limit // 3 + 1):
            raise ValueError('too long, or no text')
        data = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise _bad('base64') from error
    if base64.b64encode(data).decode() != text:
        raise _bad('base64 in its one form')
    return data


def _bad(wanted: str) -> errors.BadEvidence:
    return errors.BadEvidence(errors.Code.ENVELOPE, f'wanted {wanted}')
