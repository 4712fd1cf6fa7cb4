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

"""A key in the TPM of the host, which only the launch that made it can use.

The key is made in the TPM (fixedTPM, fixedParent, sensitiveDataOrigin) and
signs only while PCR 17 is what it was then (PolicyPCR). The register belongs
to a measured launch: no software can set it back. The key is a primary key
with random unique data, so that a second one is another one, and it is
persistent, so that nothing must be loaded to sign.
"""

import hashlib
from pathlib import Path
import secrets
import struct
import tempfile
import typing

from securesystemslib import signer as signers

from nova_isolation.attester import errors
from nova_isolation.attester import tpm_tools

#: The register of a measured launch, in the bank of SHA-256.
PCR = 17

_SELECTION = f'sha256:{PCR}'

#: The values of that register while nothing was launched: TCG PC Client
#: Platform TPM Profile, "PCR initial and reset values".
_NEVER_LAUNCHED = frozenset({b'\0' * 32, b'\xff' * 32})

_ATTRIBUTES = 'fixedtpm|fixedparent|sensitivedataorigin|sign'

_POLICY_PCR = 0x0000017F
_SHA256 = 0x000B


class TpmKey:
    """The key at a persistent handle of a TPM.

    What is secret is given to the programs by the path of a file, because
    every user of the host can read their arguments.
    """

    def __init__(
        self, tools: tpm_tools.Tools, handle: str, ek_handle: str
    ) -> None:
        """:param tools: of the TPM
        :param handle: of the key, e.g. ``0x81020001``
        :param ek_handle: of the endorsement key
        """
        self._tools = tools
        self._handle = handle
        self._ek_handle = ek_handle

    def create(self, replace: bool, owner_auth: str) -> tuple[bytes, bytes]:
        """Make the key.

        :param replace: whether to remove what is at the handle
        :param owner_auth: a file with the password of the owner hierarchy;
            '': it has none
        :returns: TPM2B_PUBLIC, and the public key as PEM
        :raises nova_isolation.attester.errors.AttesterError: it cannot be
            made, e.g. because the host was not launched measured
        """
        with self._tools.alone(), tempfile.TemporaryDirectory() as folder:
            here = Path(folder)
            owner = ('-C', 'o', *_auth(owner_auth))
            run = self._tools.run
            value = self._pcr(here)
            if replace and self._is_there():
                run('tpm2_evictcontrol', '-Q', *owner, '-c', self._handle)
            policy, made, public = (
                here / name for name in ('policy', 'key.ctx', 'key.pub')
            )
            policy.write_bytes(policy_digest(value))
            run(
                'tpm2_createprimary',
                '-Q',
                *owner,
                *('-G', 'ecc256:ecdsa-sha256', '-a', _ATTRIBUTES),
                *('-L', policy, '-u', '-', '-c', made, '-o', public),
                data=secrets.token_bytes(64),
            )
            area = public.read_bytes()
            try:
                run(
                    'tpm2_evictcontrol', '-Q', *owner, '-c', made, self._handle
                )
            finally:
                self._flush(here, area)
            return area, self._public(here, self._handle, 'pem')

    def activate(self, credential: bytes, endorsement_auth: str) -> bytes:
        """Answer a challenge, which shows that this TPM has the key.

        :param credential: of TPM2_MakeCredential, as tpm2-tools writes it
        :param endorsement_auth: a file with the password of the endorsement
            hierarchy; '': it has none
        :returns: the secret
        :raises nova_isolation.attester.errors.AttesterError: the challenge is
            not for this TPM with this key
        """
        with self._tools.alone(), tempfile.TemporaryDirectory() as folder:
            here = Path(folder)
            session, given, secret = (
                here / name for name in ('session', 'credential', 'secret')
            )
            given.write_bytes(credential)
            run = self._tools.run
            run('tpm2_startauthsession', '--policy-session', '-S', session)
            try:
                run(
                    *('tpm2_policysecret', '-Q', '-S', session, '-c', 'e'),
                    # Here the password is an argument without an option.
                    *_auth(endorsement_auth)[1:],
                )
                run(
                    *('tpm2_activatecredential', '-Q', '-c', self._handle),
                    *('-C', self._ek_handle, '-i', given, '-o', secret),
                    *('-P', f'session:{session}'),
                )
            finally:
                run('tpm2_flushcontext', session)
            return secret.read_bytes()

    def sign(self, digest: bytes) -> bytes:
        """Sign a digest: one process, and nothing stays in the TPM.

        :param digest: SHA-256
        :returns: an ECDSA signature, DER
        :raises nova_isolation.attester.errors.LaunchedOtherwise: the host was
            launched otherwise than when the key was made
        :raises nova_isolation.attester.errors.AttesterError: the TPM cannot
            sign now
        """
        try:
            with self._tools.alone():
                return self._tools.run(
                    *('tpm2_sign', '-Q', '-c', self._handle, '-g', 'sha256'),
                    *('-s', 'ecdsa', '-f', 'plain', '-d'),
                    *('-p', f'pcr:{_SELECTION}', '-o', '/dev/stdout'),
                    data=digest,
                )
        except tpm_tools.ToolError as error:
            if not error.policy_failed:
                raise
            raise errors.LaunchedOtherwise(
                f'The TPM does not sign: PCR {PCR} is another one than when '
                'the key was made, so the host was launched otherwise. If '
                'that is right, make and enroll a new key'
            ) from error

    def _pcr(self, here: Path) -> bytes:
        found = here / 'pcr'
        self._tools.run('tpm2_pcrread', '-Q', _SELECTION, '-o', found)
        value = found.read_bytes()
        if len(value) != 32 or value in _NEVER_LAUNCHED:
            raise errors.AttesterError(
                f'PCR {PCR} is {value.hex()}: wanted the value of a measured '
                'launch. Launch the host with tboot or by Secure Launch, or '
                'set [isolation_evidence] signing_key = file'
            )
        return value

    def _is_there(self) -> bool:
        listed = self._tools.run('tpm2_getcap', 'handles-persistent')
        wanted = int(self._handle, 16)
        return wanted in {
            int(word, 16) for word in listed.split() if word != b'-'
        }

    def _public(self, here: Path, what: str | Path, form: str) -> bytes:
        found = here / 'public'
        self._tools.run(
            'tpm2_readpublic', '-Q', '-c', what, '-f', form, '-o', found
        )
        return found.read_bytes()

    def _flush(self, here: Path, area: bytes) -> None:
        """Remove what was left in the places for objects, and only that.

        A resource manager has done so already. Without one the places are
        shared with Keylime's agent, whose objects must stay.
        """
        listed = self._tools.run('tpm2_getcap', 'handles-transient')
        for word in listed.split():
            handle = word.decode()
            if handle == '-':
                continue
            try:
                if self._public(here, handle, 'tss') == area:
                    self._tools.run('tpm2_flushcontext', handle)
            except tpm_tools.ToolError as error:
                # Somebody has flushed it meanwhile, as Keylime's agent does
                # after each quote.
                if not error.passes:
                    raise


class TpmSigner(signers.Signer):
    """Signs with the key in the TPM."""

    def __init__(self, key: TpmKey, public: signers.SSlibKey) -> None:
        """:param key: the key
        :param public: its public part
        """
        self._key = key
        self._public = public

    @property
    def public_key(self) -> signers.Key:
        """See the base class."""
        return self._public

    @classmethod
    def from_priv_key_uri(
        cls,
        priv_key_uri: str,
        public_key: signers.Key,
        secrets_handler: typing.Any = None,
    ) -> 'TpmSigner':
        """See the base class. The key is no URI here.

        :raises NotImplementedError: always
        """
        raise NotImplementedError

    def sign(self, payload: bytes) -> signers.Signature:
        """See the base class, and :meth:`TpmKey.sign`."""
        signature = self._key.sign(hashlib.sha256(payload).digest())
        return signers.Signature(self._public.keyid, signature.hex())


def policy_digest(value: bytes) -> bytes:
    """Return the policy that PCR 17 has a value.

    TPM 2.0 Library, part 3, TPM2_PolicyPCR.

    :param value: 32 bytes
    """
    mask = bytearray(3)
    mask[PCR // 8] |= 1 << PCR % 8
    return hashlib.sha256(
        bytes(32)
        + struct.pack('>IIHB', _POLICY_PCR, 1, _SHA256, len(mask))
        + bytes(mask)
        + hashlib.sha256(value).digest()
    ).digest()


def _auth(path: str) -> tuple[str, ...]:
    return ('-P', f'file:{path}') if path else ()
