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

"""Evidence that is verified without Nova, libvirt, oslo or a network.

Needs securesystemslib and cryptography only. What others import is
:func:`verify`, :mod:`nova_isolation.evidence.trust` and
:mod:`nova_isolation.evidence.errors`.
"""

import typing

if typing.TYPE_CHECKING:
    from nova_isolation.evidence import trust as trusts
    from nova_isolation.evidence import verification


def verify(
    bundle: bytes | dict[str, typing.Any],
    trust: 'trusts.Trust',
    nonce: str | None = None,
) -> 'verification.Verified':
    """Verify a bundle; see
    :func:`nova_isolation.evidence.verification.verify`.
    """
    # Here, so that the Merkle tree alone can be used without other packages.
    from nova_isolation.evidence import verification

    return verification.verify(bundle, trust, nonce)
