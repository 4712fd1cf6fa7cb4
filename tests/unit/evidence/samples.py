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

"""A statement and keys for tests."""

import dataclasses

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from securesystemslib import signer as signers

from nova_isolation.evidence import envelope
from nova_isolation.evidence import statement as statements

OPERATOR = statements.Statement(
    subject=statements.Subject(
        '5d0c3a6e-0000-4000-8000-000000000001', '5d' * 16, '0c' * 32
    ),
    audience=statements.Audience.OPERATOR,
    occasion=statements.Occasion.START,
    requirements={'isolation:svirt': 'selinux', 'isolation:qemu': 'full'},
    proofs=(
        statements.Proof('isolation:svirt', 'svirt_t:s0:c1,c2, enforcing'),
        statements.Proof('isolation:qemu', 'Seccomp: 2'),
    ),
    unmet=(),
    host=statements.Host('compute-1', 'fa' * 32, 'agent-1', 3),
    mode=statements.Mode.ENFORCE,
    started='2026-11-26T12:00:00Z',
    finished='2026-11-26T12:00:01Z',
    nonce='a-nonce-of-somebody',
    request_id='req-1',
    key=statements.KeyKind.FILE,
    version='1.0',
)

#: What an owner reads of the same, as the guest violates a requirement.
OWNER = dataclasses.replace(
    OPERATOR,
    audience=statements.Audience.OWNER,
    proofs=(statements.Proof('isolation:qemu', None),),
    unmet=(statements.Unmet('isolation:svirt', 'isolation.svirt.label'),),
    host=None,
    nonce=None,
    request_id=None,
)


def signer(curve: type[ec.EllipticCurve] = ec.SECP256R1):
    """A new key in memory."""
    private = ec.generate_private_key(curve())
    return signers.CryptoSigner(
        private, envelope.trusted(pem(private.public_key()))
    )


def pem(public) -> bytes:
    """A public key as PEM."""
    return public.public_bytes(
        serialization.Encoding.PEM,
        serialization.PublicFormat.SubjectPublicKeyInfo,
    )
