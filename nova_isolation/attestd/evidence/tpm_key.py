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

"""The one form of a TPM's key that may sign statements.

Credential activation alone shows that a key is loaded in a TPM. A key that
was made elsewhere and imported, and one that signs without the registers,
activate as well, so the public area is compared with the one form, byte by
byte, before there is a challenge. The structures are those of TPM 2.0
Library, part 2 (TPM2B_PUBLIC), the policy is that of part 3 (PolicyPCR).
"""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import hashlib
import itertools
import math
import struct
import typing

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from nova_isolation.attestd.evidence import refusal
from nova_isolation.mechanisms.attested import attestation_result

SHA256 = 0x000B
ECC = 0x0023
NULL = 0x0010
P256 = 0x0003
_ECDSA = 0x0018
_POLICY_PCR = 0x0000017F

#: fixedTPM, fixedParent, sensitiveDataOrigin and sign, nothing else. With
#: userWithAuth a password would open the key, without fixedTPM it may have
#: been imported, with restricted it could not sign what is not of the TPM.
ATTRIBUTES = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 18

#: How many sets of approved values are compared with the policy of a key.
_MAX_SETS = 1024
#: Bytes of a coordinate, and of a digest.
_BYTES = 32
#: Digits of a value that a message shows.
_DIGITS = 12


class SigningKey(typing.NamedTuple):
    """A key in a TPM, whose public area is as it must be.

    :ivar public: the public key
    :ivar name: the TPM's name of the key, computed here and never taken from
        the host
    """

    public: ec.EllipticCurvePublicKey
    name: bytes


def policy(pcrs: Mapping[int, bytes]) -> bytes:
    """Return the digest of a PolicyPCR over registers of the SHA-256 bank.

    :param pcrs: number of the register -> its value
    """
    mask = bytearray(3)
    for number in pcrs:
        mask[number // 8] |= 1 << number % 8
    values = b''.join(pcrs[number] for number in sorted(pcrs))
    return hashlib.sha256(
        bytes(_BYTES)
        + struct.pack('>IIHB', _POLICY_PCR, 1, SHA256, len(mask))
        + bytes(mask)
        + hashlib.sha256(values).digest()
    ).digest()


def judge(
    data: bytes, pcrs: Iterable[int], approved: Mapping[int, Sequence[str]]
) -> SigningKey:
    """Return a key, if its public area is of the one form.

    :param data: TPM2B_PUBLIC
    :param pcrs: the registers to which the key must be bound
    :param approved: register -> the values that the verifier's policy for
        this host approves, hexadecimal
    :raises nova_isolation.attestd.evidence.refusal.Refused: why not
    """
    head = struct.Struct('>HHHIH')
    form = head.size + _BYTES + 10 + 2 * (2 + _BYTES)
    if len(data) != form:
        raise _form(f'a TPM2B_PUBLIC of {form} bytes', f'{len(data)} bytes')
    size, kind, name_alg, attributes, length = head.unpack_from(data)
    if size != form - 2 or (kind, name_alg) != (ECC, SHA256):
        raise _form(
            'an ECC key whose name is a SHA-256',
            f'type {kind:#06x}, name {name_alg:#06x}, size {size}',
        )
    if attributes != ATTRIBUTES:
        raise _form(
            f'the attributes {ATTRIBUTES:#010x} exactly: fixedtpm, '
            'fixedparent, sensitivedataorigin, sign',
            f'{attributes:#010x}',
        )
    if length != _BYTES:
        raise _form(
            f'an authPolicy of {_BYTES} bytes', f'one of {length} bytes'
        )
    at = head.size + _BYTES
    bound = data[head.size : at]
    wanted = struct.pack('>HHHHH', NULL, _ECDSA, SHA256, P256, NULL)
    if data[at : at + 10] != wanted:
        raise _form(
            'ECDSA with SHA-256 on the curve P-256',
            f'the parameters {data[at : at + 10].hex()}',
        )
    public = point(data[at + 10 :])
    _check_policy(bound, sorted(set(pcrs)), approved)
    return SigningKey(
        public,
        struct.pack('>H', SHA256) + hashlib.sha256(data[2:]).digest(),
    )


def pem(public: ec.EllipticCurvePublicKey) -> str:
    """Return a public key as PEM."""
    return public.public_bytes(
        serialization.Encoding.PEM,
        serialization.PublicFormat.SubjectPublicKeyInfo,
    ).decode()


def point(data: bytes) -> ec.EllipticCurvePublicKey:
    """Read a point of P-256, both coordinates of full length.

    :param data: TPMS_ECC_POINT
    :raises nova_isolation.attestd.evidence.refusal.Refused: it is none
    """
    size = struct.pack('>H', _BYTES)
    x, y = data[2 : 2 + _BYTES], data[4 + _BYTES :]
    if (data[:2], data[2 + _BYTES : 4 + _BYTES]) != (size, size) or (
        len(y) != _BYTES
    ):
        raise _form(
            f'a point with two coordinates of {_BYTES} bytes', 'another one'
        )
    try:
        return ec.EllipticCurvePublicNumbers(
            int.from_bytes(x, 'big'), int.from_bytes(y, 'big'), ec.SECP256R1()
        ).public_key()
    except ValueError:
        raise _form('a point of P-256', 'another one') from None


def _check_policy(
    bound: bytes, pcrs: list[int], approved: Mapping[int, Sequence[str]]
) -> None:
    """Refuse a policy digest that no set of approved values has."""
    launched = []
    for number in pcrs:
        values = [
            bytes.fromhex(value)
            for value in approved.get(number, ())
            if len(value) == 2 * _BYTES
            and attestation_result.is_launched(number, value)
        ]
        if not values or number in attestation_result.RESETTABLE:
            raise refusal.Refused(
                refusal.Code.KEY_POLICY,
                f"wanted a value of PCR {number} in the verifier's policy "
                '(tpm_policy) for this host, SHA-256, that the register has '
                'only after a measured launch; found none',
            )
        launched.append(values)
    if math.prod(map(len, launched)) > _MAX_SETS:
        raise refusal.Refused(
            refusal.Code.KEY_POLICY,
            f"wanted at most {_MAX_SETS} sets of values in the verifier's "
            f'policy for the PCRs {_words(pcrs)}, found more',
        )
    if not any(
        bound == policy(dict(zip(pcrs, values, strict=True)))
        for values in itertools.product(*launched)
    ):
        raise refusal.Refused(
            refusal.Code.KEY_POLICY,
            f'wanted a key under PolicyPCR over sha256:{_words(pcrs)} with '
            "the values of the verifier's policy, found the policy digest "
            f'{bound.hex()[:_DIGITS]}...; make the key anew after the host '
            'was launched as approved',
        )


def _words(pcrs: Iterable[int]) -> str:
    return ','.join(map(str, pcrs))


def _form(wanted: str, found: str) -> refusal.Refused:
    return refusal.Refused(
        refusal.Code.KEY_FORM, f'wanted {wanted}, found {found}'
    )
