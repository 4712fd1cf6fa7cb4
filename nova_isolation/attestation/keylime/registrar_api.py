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

"""The registrar of Keylime: which keys the TPM of an agent has.

Written against Keylime 7.14.3, API 2.x. The registrar has checked, when the
agent registered, that the attestation key is in the TPM with this endorsement
key. Like a verifier, it accepts only the certificate of an administrator.
"""

import base64
import typing
import urllib.parse

from nova_isolation.attestation import provider
from nova_isolation.attestation.keylime import verifier_api
from nova_isolation.evidence import errors as bad
from nova_isolation.evidence import strict_json
from nova_isolation.https import https_client
from nova_isolation.https import https_error

#: The largest answer, in bytes.
_MAX = 2**20


class TpmKeys(typing.NamedTuple):
    """The public areas of two keys of a TPM (TPM2B_PUBLIC).

    :ivar ek: of the endorsement key
    :ivar ak: of the attestation key, with which the agent signs its quotes
    """

    ek: bytes
    ak: bytes


class Registrar:
    """One registrar."""

    def __init__(self, url: str, client: https_client.Client) -> None:
        """:param url: ``https://HOST:PORT``

        :param client: for requests to this registrar
        """
        self._url = url.rstrip('/')
        self._client = client

    def keys(self, agent: str) -> TpmKeys:
        """Return the keys of an agent's TPM.

        :raises nova_isolation.attestation.provider.ProviderError: the
            registrar gave no usable answer, or does not know the agent
        """
        try:
            version = verifier_api.newest_version(
                self._url, self._results('/version')
            )
            found = self._results(
                f'/v{version}/agents/{urllib.parse.quote(agent, safe="")}'
            )
        except https_error.HttpsError as error:
            raise provider.ProviderError(str(error)) from error
        try:
            return TpmKeys(
                *(
                    base64.b64decode(found[name], validate=True)
                    for name in ('ek_tpm', 'aik_tpm')
                )
            )
        except (KeyError, TypeError, ValueError) as error:
            raise provider.ProviderError(
                f'{self._url}: wanted ek_tpm and aik_tpm of agent {agent}, '
                f'found none that can be read ({type(error).__name__})'
            ) from None

    def _results(self, path: str) -> dict[str, typing.Any]:
        answer = self._client.get(self._url + path)
        if answer.status != 200:
            raise provider.ProviderError(
                f'{self._url}{path}: wanted status 200, found HTTP '
                f'{answer.status}; check that the agent is registered, and '
                'that the registrar accepts the client certificate '
                '([isolation_attestation] cert_file)'
            )
        try:
            results = strict_json.loads(answer.body, _MAX)['results']
        except (bad.BadEvidence, TypeError, KeyError):
            results = None
        if not isinstance(results, dict):
            raise provider.ProviderError(
                f'{self._url}{path}: wanted an answer of a registrar, found '
                f'{len(answer.body)} bytes that are not understood'
            )
        return results
