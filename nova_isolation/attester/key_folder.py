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

"""The folder in which a host keeps the key that signs its statements.

``public.pem`` is there for each kind of key, ``private.pem`` for a key in a
file, and ``public.tpm2b`` for a key in the TPM, whose private part never
leaves the TPM.
"""

from pathlib import Path
import typing

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from securesystemslib import signer as signers

from nova_isolation.attester import errors
from nova_isolation.attester import tpm_key
from nova_isolation.attester import tpm_tools
from nova_isolation.evidence import envelope
from nova_isolation.evidence import errors as bad
from nova_isolation.evidence import statement
from nova_isolation.https import https_error
from nova_isolation.https import key_file

_PUBLIC, _PRIVATE, _TPM_PUBLIC = 'public.pem', 'private.pem', 'public.tpm2b'

_CREATE = 'nova-isolation-manage evidence-key create'


class Options(typing.Protocol):
    """What is read of the group ``[isolation_evidence]``."""

    @property
    def signing_key(self) -> str:
        """``tpm`` or ``file``."""

    @property
    def key_dir(self) -> str:
        """The folder."""

    @property
    def tpm_tcti(self) -> str:
        """How the TPM is reached."""

    @property
    def tpm_key_handle(self) -> str:
        """The persistent handle of the key."""

    @property
    def tpm_ek_handle(self) -> str:
        """The persistent handle of the endorsement key."""


class KeyFolder:
    """Makes and opens the key of this host.

    :ivar kind: where the key is
    """

    def __init__(self, options: Options) -> None:
        """:param options: the group ``[isolation_evidence]``"""
        self.kind = statement.KeyKind(options.signing_key)
        self._path = Path(options.key_dir)
        self._tpm = tpm_key.TpmKey(
            tpm_tools.Tools(options.tpm_tcti, self._path / 'lock'),
            options.tpm_key_handle,
            options.tpm_ek_handle,
        )

    def public(self) -> signers.SSlibKey:
        """Return the public key.

        :raises nova_isolation.attester.errors.AttesterError: there is none,
            or it cannot be used
        """
        try:
            return envelope.trusted(self._read(_PUBLIC))
        except bad.BadEvidence as error:
            raise errors.AttesterError(
                f'{self._path / _PUBLIC}: {error}'
            ) from error

    def tpm_public(self) -> bytes:
        """Return the public area of the key in the TPM, TPM2B_PUBLIC.

        :raises nova_isolation.attester.errors.AttesterError: there is none
        """
        return self._read(_TPM_PUBLIC)

    def signer(self) -> signers.Signer:
        """Return what signs with the key.

        :raises nova_isolation.attester.errors.AttesterError: there is no key,
            or it cannot be used
        """
        public = self.public()
        if self.kind is statement.KeyKind.TPM:
            return tpm_key.TpmSigner(self._tpm, public)
        path = self._path / _PRIVATE
        try:
            key_file.check(str(path))
            private = serialization.load_pem_private_key(
                self._read(_PRIVATE), None
            )
        except (https_error.HttpsError, ValueError, TypeError) as error:
            raise errors.AttesterError(
                f'{path} cannot be used: {error}'
            ) from error
        if not isinstance(private, ec.EllipticCurvePrivateKey) or (
            envelope.trusted(_pem(private.public_key())) != public
        ):
            raise errors.AttesterError(
                f'{path} does not belong to {self._path / _PUBLIC}; run '
                f'{_CREATE} --replace'
            )
        return signers.CryptoSigner(private, public)

    def activate(self, credential: bytes, endorsement_auth: str) -> bytes:
        """Return the secret of a challenge; see :class:`tpm_key.TpmKey`."""
        return self._tpm.activate(credential, endorsement_auth)

    def create(self, replace: bool, owner_auth: str) -> None:
        """Make a new key.

        :param replace: whether a key that is there is replaced; it cannot be
            had back
        :param owner_auth: see :meth:`tpm_key.TpmKey.create`
        :raises nova_isolation.attester.errors.AttesterError: there is a key,
            or none can be made
        """
        present = [
            name
            for name in (_PUBLIC, _PRIVATE, _TPM_PUBLIC)
            if (self._path / name).exists()
        ]
        if present and not replace:
            raise errors.AttesterError(
                f'{self._path} has a key already: {", ".join(present)}. With '
                '--replace it is lost, and the new one must be enrolled'
            )
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            # What is half done must not look like a key.
            for name in present:
                (self._path / name).unlink()
            if self.kind is statement.KeyKind.TPM:
                area, pem = self._tpm.create(replace, owner_auth)
                self._write(_TPM_PUBLIC, area)
            else:
                private = ec.generate_private_key(ec.SECP256R1())
                self._write(
                    _PRIVATE,
                    private.private_bytes(
                        serialization.Encoding.PEM,
                        serialization.PrivateFormat.PKCS8,
                        serialization.NoEncryption(),
                    ),
                    0o600,
                )
                pem = _pem(private.public_key())
            self._write(_PUBLIC, pem)
        except OSError as error:
            raise errors.AttesterError(
                f'{error.filename or self._path}: {error.strerror}'
            ) from error

    def _read(self, name: str) -> bytes:
        try:
            return (self._path / name).read_bytes()
        except OSError as error:
            raise errors.AttesterError(
                f'{self._path / name} cannot be read: {error.strerror}; as '
                f'the user of nova-compute, {_CREATE} makes a key'
            ) from error

    def _write(self, name: str, data: bytes, mode: int = 0o644) -> None:
        path = self._path / name
        path.touch(mode, exist_ok=False)
        path.write_bytes(data)


def _pem(public: ec.EllipticCurvePublicKey) -> bytes:
    return public.public_bytes(
        serialization.Encoding.PEM,
        serialization.PublicFormat.SubjectPublicKeyInfo,
    )
