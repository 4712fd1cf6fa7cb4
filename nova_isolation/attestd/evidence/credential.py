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

"""A challenge that only one TPM can answer: TPM2_MakeCredential, in software.

The secret is encrypted for the endorsement key of a TPM, and with the name of
another key, so that the TPM decrypts it only if it has both loaded: TPM 2.0
Library, part 1, "Credential Protection" and annexes B.10 and C.6 (secret
sharing by RSA and ECC), part 3, TPM2_MakeCredential.
"""

import hashlib
import hmac
import secrets
import struct

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers import modes

from nova_isolation.attestd.evidence import refusal
from nova_isolation.attestd.evidence import tpm_key

#: The default templates of the TCG EK Credential Profile (L-1, RSA 2048, and
#: L-2, P-256) have these attributes: fixedTPM, fixedParent,
#: sensitiveDataOrigin, adminWithPolicy, restricted and decrypt.
_EK_ATTRIBUTES = 0x000300B2
_RSA = 0x0001
#: AES, 128 bits, CFB: how the templates protect what they decrypt.
_SYMMETRIC = struct.pack('>HHH', 0x0006, 128, 0x0043)
_BYTES = 32
_BLOCK = 16
#: The header of a file that tpm2_activatecredential reads.
_FILE = struct.pack('>II', 0xBADCC0DE, 1)

EndorsementKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


def endorsement_key(data: bytes) -> EndorsementKey:
    """Read an endorsement key of a default template.

    :param data: TPM2B_PUBLIC
    :raises nova_isolation.attestd.evidence.refusal.Refused: it is none
    """
    head = struct.Struct('>HHHIH')
    at = head.size + _BYTES
    if len(data) < at:
        raise _unusable(f'{len(data)} bytes')
    size, kind, name_alg, attributes, length = head.unpack_from(data)
    if (size, name_alg, attributes, length) != (
        len(data) - 2,
        tpm_key.SHA256,
        _EK_ATTRIBUTES,
        _BYTES,
    ):
        raise _unusable(f'name {name_alg:#x}, attributes {attributes:#x}')
    rest = data[at:]
    null = struct.pack('>H', tpm_key.NULL)
    if kind == _RSA:
        wanted = _SYMMETRIC + null + struct.pack('>HIH', 2048, 0, 256)
        if rest[: len(wanted)] != wanted or len(rest) != len(wanted) + 256:
            raise _unusable('another RSA key')
        modulus = int.from_bytes(rest[len(wanted) :], 'big')
        try:
            return rsa.RSAPublicNumbers(65537, modulus).public_key()
        except ValueError:
            raise _unusable('a modulus that is none') from None
    wanted = _SYMMETRIC + null + struct.pack('>H', tpm_key.P256) + null
    if kind != tpm_key.ECC or rest[: len(wanted)] != wanted:
        raise _unusable(f'the type {kind:#x}')
    return tpm_key.point(rest[len(wanted) :])


def make(ek: EndorsementKey, name: bytes, secret: bytes) -> bytes:
    """Return a secret that the TPM with these two keys can decrypt.

    :param ek: the endorsement key of the TPM
    :param name: of the other key
    :param secret: at most 32 bytes
    :returns: what ``tpm2_activatecredential -i`` reads
    """
    if len(secret) > _BYTES:
        raise ValueError(f'a secret of {len(secret)} bytes')
    if isinstance(ek, rsa.RSAPublicKey):
        seed, encrypted = _by_rsa(ek)
    else:
        seed, encrypted = _by_ecc(ek)
    identity = _encrypt(_kdfa(seed, b'STORAGE', name, 128), _sized(secret))
    integrity = hmac.digest(
        _kdfa(seed, b'INTEGRITY', b'', 256), identity + name, 'sha256'
    )
    return _FILE + _sized(_sized(integrity) + identity) + _sized(encrypted)


def _by_rsa(ek: rsa.RSAPublicKey) -> tuple[bytes, bytes]:
    """Return a new seed, and the seed as it is sent."""
    seed = secrets.token_bytes(_BYTES)
    sha256 = hashes.SHA256()
    return seed, ek.encrypt(
        seed, padding.OAEP(padding.MGF1(sha256), sha256, b'IDENTITY\0')
    )


def _by_ecc(ek: ec.EllipticCurvePublicKey) -> tuple[bytes, bytes]:
    ours = ec.generate_private_key(ec.SECP256R1())
    numbers, theirs = ours.public_key().public_numbers(), ek.public_numbers()
    x, y = (_coordinate(one) for one in (numbers.x, numbers.y))
    # KDFe of part 1, with one round.
    seed = hashlib.sha256(
        struct.pack('>I', 1)
        + ours.exchange(ec.ECDH(), ek)
        + b'IDENTITY\0'
        + x
        + _coordinate(theirs.x)
    ).digest()
    return seed, _sized(x) + _sized(y)


def _kdfa(key: bytes, label: bytes, context: bytes, bits: int) -> bytes:
    """Return a key that is derived from a seed: KDFa of part 1."""
    text = struct.pack('>I', 1) + label + b'\0' + context
    found = hmac.digest(key, text + struct.pack('>I', bits), 'sha256')
    return found[: bits // 8]


def _encrypt(key: bytes, data: bytes) -> bytes:
    """Encrypt by AES in CFB mode, from an initial value of zeros.

    Releases of cryptography have that mode in different places, and each has
    the encryption of single blocks, of which it consists.
    """
    block = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305  # nosec B305
    found, before = b'', bytes(_BLOCK)
    for start in range(0, len(data), _BLOCK):
        mask = block.update(before)
        before = bytes(
            one ^ other
            for one, other in zip(
                data[start : start + _BLOCK], mask, strict=False
            )
        )
        found += before
    return found


def _sized(data: bytes) -> bytes:
    return struct.pack('>H', len(data)) + data


def _coordinate(value: int) -> bytes:
    return value.to_bytes(_BYTES, 'big')


def _unusable(found: str) -> refusal.Refused:
    return refusal.Refused(
        refusal.Code.REGISTRAR,
        'wanted an endorsement key of a default template of the TCG (RSA '
        f'2048 or P-256, AES-128-CFB, SHA-256), found {found}',
    )
