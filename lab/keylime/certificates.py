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

"""The certificates of an attested lab, from two authorities of its own.

A client with a certificate of the verifier's authority is an administrator of
the verifier. Nova's services may only read verdicts, from attestd; so their
certificates are from another authority, which Keylime's servers do not know.
"""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.oid import NameOID

from lab.config import site as sites
from lab.machine import recipe
from lab.run import layout as layouts

_LIFE = datetime.timedelta(days=2)
#: The clock of a virtual machine may be slow.
_BEFORE = datetime.timedelta(minutes=5)
_CA = 'ca'


class Authority:
    """An authority and the certificates that it signed, as PEM files."""

    def __init__(self, folder: Path, name: str) -> None:
        """Describe an authority; no file is written yet.

        :param folder: where its files will be
        :param name: the common name of the authority
        """
        self._folder = folder
        self._name = name
        self._key = ec.generate_private_key(ec.SECP256R1())

    def make(self) -> None:
        """Make the authority's own certificate."""
        builder = self._builder(self._name, self._key.public_key())
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = builder.add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        ).add_extension(usage, critical=True)
        self._write(_CA, builder)

    def server(self, name: str) -> None:
        """Make key and certificate of a server of this machine.

        Virtual machines reach it at another address.
        """
        self._sign(name, ExtendedKeyUsageOID.SERVER_AUTH)

    def client(self, name: str) -> None:
        """Make key and certificate of a client."""
        self._sign(name, ExtendedKeyUsageOID.CLIENT_AUTH)

    def _sign(self, name: str, usage: x509.ObjectIdentifier) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            self._builder(name, key.public_key())
            .add_extension(
                x509.BasicConstraints(ca=False, path_length=None),
                critical=True,
            )
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(
                x509.SubjectAlternativeName(
                    [
                        x509.IPAddress(ipaddress.ip_address(address))
                        for address in (sites.LOCALHOST, recipe.GATEWAY)
                    ]
                    + [
                        x509.DNSName('localhost'),
                    ]
                ),
                critical=False,
            )
        )
        self._write(name, builder)
        layouts.write(
            key_file(self._folder, name),
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ).decode(),
        )

    def _builder(
        self, name: str, key: ec.EllipticCurvePublicKey
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.timezone.utc)
        own = self._key.public_key()
        return (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name(self._name))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BEFORE)
            .not_valid_after(now + _LIFE)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(own),
                critical=False,
            )
        )

    def _write(self, name: str, builder: x509.CertificateBuilder) -> None:
        certificate = builder.sign(self._key, hashes.SHA256())
        layouts.write(
            certificate_file(self._folder, name),
            certificate.public_bytes(serialization.Encoding.PEM).decode(),
        )


def authority_file(folder: Path) -> Path:
    """The certificate of the authority of a folder."""
    return certificate_file(folder, _CA)


def certificate_file(folder: Path, name: str) -> Path:
    """The certificate of a server or client."""
    return folder / f'{name}.crt'


def key_file(folder: Path, name: str) -> Path:
    """The private key of a server or client."""
    return folder / f'{name}.key'


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
