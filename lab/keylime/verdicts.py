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

"""The verdicts about a host, at the verifier and at attestd."""

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
from nova_isolation.mechanisms.attested import attestation_result

_API = 'v2.6'
_TIMEOUT = 10
#: A verifier takes 5 s to notice that an agent is dead, a busy one longer.
_SECONDS = 180.0

#: attestd's result for a host, and the verdict that contains it.
Reported = tuple[attestation_result.AttestationResult, snapshot.Verdict]


class Verdicts:
    """Asks the verifier and attestd of a lab."""

    def __init__(
        self, supervisor: supervisors.Supervisor, site: sites.Site
    ) -> None:
        self._supervisor = supervisor
        self._site = site

    def at_verifier(self, host: str) -> dict[str, Any] | None:
        """The verifier's record of a host.

        :returns: None when the verifier does not know the host
        :raises LabError: when the verifier does not answer
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
                f'the verifier answered {answer.status_code}: {answer.text}'
            )
        found: dict[str, Any] = answer.json()['results']
        # This is a share of a secret key, which must not get into a log.
        found.pop('v', None)
        return found

    def wait_at_verifier(
        self, host: str, status: str, seconds: float = _SECONDS
    ) -> dict[str, Any]:
        """Wait until the verifier has this status for a host.

        :param status: the value of ``attestation_status``
        :returns: the verifier's record of the host
        :raises LabError: when the host has another status after ``seconds``
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

        return self._supervisor.wait(
            f'{status} of {host} at the verifier',
            says,
            seconds,
            every=0.2,
            instead=lambda: last,
        )

    def at_attestd(self, host: str) -> Reported:
        """What nova-isolation-attestd reports to Nova's services about a host.

        :raises LabError: when it reports nothing about the host
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
                f'attestd answered {answer.status_code}: {answer.text}'
            )
        found = snapshot.loads(answer.content).verdicts.get(host)
        if found is None:
            raise errors.LabError(f'attestd reports nothing about {host}')
        return attestation_result.loads(found.document), found

    def wait_at_attestd(
        self, host: str, state: str, seconds: float = _SECONDS
    ) -> Reported:
        """Wait until attestd reports this state of a host.

        :param state: one of
            :data:`nova_isolation.mechanisms.attested.attestation_result.STATES`
        :raises LabError: when attestd reports another state after ``seconds``
        """
        last = 'nothing'

        def found_so() -> Reported | None:
            nonlocal last
            try:
                found = self.at_attestd(host)
            except errors.LabError as error:
                last = str(error)
                return None
            last = str(found)
            return found if found[0].state == state else None

        return self._supervisor.wait(
            f'{state} of {host} at attestd',
            found_so,
            seconds,
            every=0.1,
            instead=lambda: last,
        )


def _get(
    url: str, certificate: tuple[str, str], authority: str
) -> requests.Response:
    with requests.Session() as session:
        # A proxy of the environment must not be used for 127.0.0.1.
        session.trust_env = False
        try:
            return session.get(
                url, cert=certificate, verify=authority, timeout=_TIMEOUT
            )
        except requests.RequestException as error:
            raise errors.LabError(f'{url}: {error}') from error
