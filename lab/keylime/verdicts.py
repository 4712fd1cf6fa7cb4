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

"""What is said of a host: by the verifier, and by attestd."""

from typing import Any

import requests

from lab.config import site as sites
from lab.keylime import agent as agents
from lab.keylime import attestd
from lab.keylime import certificates
from lab.keylime import settings
from lab.run import errors
from lab.run import supervisor as supervisors
from nova_isolation.attestation import snapshot
from nova_isolation.model import attestation_result

_API = 'v2.6'
_TIMEOUT = 10
#: A verifier takes 5 s to notice that an agent is dead.
_SECONDS = 60.0

#: What attestd holds of a host, and since when.
Told = tuple[attestation_result.AttestationResult, snapshot.Verdict]


class Verdicts:
    """Asks both of a lab."""

    def __init__(
        self, supervisor: supervisors.Supervisor, site: sites.Site
    ) -> None:
        self._supervisor = supervisor
        self._site = site

    def at_verifier(self, host: str) -> dict[str, Any] | None:
        """What the verifier holds of a host; None: nothing.

        :raises LabError: it does not say
        """
        folder = settings.authority(self._site.layout)
        certificate, key = settings.reader_certificate(self._site.layout)
        answer = _get(
            f'https://{sites.LOCALHOST}:{self._site.ports["verifier"]}'
            f'/{_API}/agents/{agents.agent_uuid(host)}',
            (str(certificate), str(key)),
            str(certificates.authority_file(folder)),
        )
        if answer.status_code == 404:
            return None
        if answer.status_code != 200:
            raise errors.LabError(
                f'the verifier: {answer.status_code}: {answer.text}'
            )
        found: dict[str, Any] = answer.json()['results']
        # A share of a key, which is for nobody to see.
        found.pop('v', None)
        return found

    def wait_at_verifier(
        self, host: str, status: str, seconds: float = _SECONDS
    ) -> dict[str, Any]:
        """Wait until the verifier says so.

        :param status: its ``attestation_status``
        :returns: all that it holds of the host then
        :raises LabError: when it does not after ``seconds``
        """
        last = 'nothing'

        def says() -> dict[str, Any] | None:
            nonlocal last
            try:
                found = self.at_verifier(host)
            except errors.LabError as error:
                last = str(error)
                return None
            last = str(found)
            right = found and found['attestation_status'] == status
            return found if right else None

        try:
            return self._supervisor.wait(
                f'{status} of {host} at the verifier', says, seconds, every=0.2
            )
        except errors.LabError as error:
            raise errors.LabError(f'{error}; found {last}') from error

    def at_attestd(self, host: str) -> Told:
        """What nova-isolation-attestd tells Nova's services of a host.

        :raises LabError: when it tells nothing
        """
        layout = self._site.layout
        certificate, key = attestd.client_certificate(layout)
        answer = _get(
            f'{attestd.url(self._site)}/v1/snapshot',
            (str(certificate), str(key)),
            str(attestd.authority_certificate(layout)),
        )
        if answer.status_code != 200:
            raise errors.LabError(
                f'attestd: {answer.status_code}: {answer.text}'
            )
        found = snapshot.loads(answer.content).verdicts.get(host)
        if found is None:
            raise errors.LabError(f'attestd tells nothing of {host}')
        return attestation_result.loads(found.document), found

    def wait_at_attestd(
        self, host: str, state: str, seconds: float = _SECONDS
    ) -> Told:
        """Wait until attestd tells that a host is in that state.

        :param state: one of
            :data:`nova_isolation.model.attestation_result.STATES`
        :raises LabError: when it does not after ``seconds``
        """
        last = 'nothing'

        def tells() -> Told | None:
            nonlocal last
            try:
                found = self.at_attestd(host)
            except errors.LabError as error:
                last = str(error)
                return None
            last = str(found)
            return found if found[0].state == state else None

        try:
            return self._supervisor.wait(
                f'{state} of {host} at attestd', tells, seconds, every=0.1
            )
        except errors.LabError as error:
            raise errors.LabError(f'{error}; found {last}') from error


def _get(
    url: str, certificate: tuple[str, str], authority: str
) -> requests.Response:
    with requests.Session() as session:
        # No proxy may stand in between.
        session.trust_env = False
        try:
            return session.get(
                url, cert=certificate, verify=authority, timeout=_TIMEOUT
            )
        except requests.RequestException as error:
            raise errors.LabError(f'{url}: {error}') from error
