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
"""Certificates for tests."""

import dataclasses
import datetime
import ipaddress
import os
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.oid import NameOID

_DAY = datetime.timedelta(days=1)


@dataclasses.dataclass(frozen=True)
class Certificate:
    """The files of a certificate and its key."""

    cert_file: str
    key_file: str


class Authority:
    """Issues certificates that are good for 127.0.0.1, both ways."""

    def __init__(self, folder, name='ca'):
        """:param folder: where the files go; each authority its own"""
        self._folder = pathlib.Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._name = _name(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        cert = (
            self._builder(self._name, self._key, _now() - _DAY, _now() + _DAY)
            .add_extension(x509.BasicConstraints(True, 0), critical=True)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=True,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    key_cert_sign=True,
                    crl_sign=True,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(
                    self._key.public_key()
                ),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )
        #: The certificate of the authority itself.
        self.ca_file = str(self._folder / f'{name}.crt')
        _write(self.ca_file, cert.public_bytes(serialization.Encoding.PEM))

    def issue(self, name, *, expired=False, address='127.0.0.1'):
        """A certificate and its key, mode 0600.

        :param expired: it was good until yesterday
        :param address: for which it is good
        """
        key = ec.generate_private_key(ec.SECP256R1())
        end = _now() + (-_DAY if expired else _DAY)
        cert = (
            self._builder(_name(name), key, _now() - 3 * _DAY, end)
            .add_extension(x509.BasicConstraints(False, None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName(
                    [x509.IPAddress(ipaddress.ip_address(address))]
                ),
                critical=False,
            )
            .add_extension(
                x509.ExtendedKeyUsage(
                    [
                        ExtendedKeyUsageOID.SERVER_AUTH,
                        ExtendedKeyUsageOID.CLIENT_AUTH,
                    ]
                ),
                critical=False,
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(
                    self._key.public_key()
                ),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )
        made = Certificate(
            str(self._folder / f'{name}.crt'),
            str(self._folder / f'{name}.key'),
        )
        _write(made.cert_file, cert.public_bytes(serialization.Encoding.PEM))
        _write(
            made.key_file,
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )
        return made

    def _builder(self, subject, key, start, end):
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
        )


def _now():
    return datetime.datetime.now(datetime.timezone.utc)


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _write(path, data):
    with open(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 'wb'
    ) as file:
        file.write(data)
