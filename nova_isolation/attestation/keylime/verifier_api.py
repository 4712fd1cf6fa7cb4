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


"""One verifier of Keylime, asked over its API."""

from collections.abc import Mapping
import json
import logging
import re
import threading
import time
import typing

from nova_isolation.attestation import provider
from nova_isolation.attestation.keylime import agent_record
from nova_isolation.attestation.keylime import host_map
from nova_isolation.https import https_client

LOG = logging.getLogger(__name__)

#: The API that is known: ``keylime.api_version`` of 7.14.3. 3.x has no status
#: of agents; a minor version that is newer than this one may have another.
_MAJOR, _NEWEST = 2, 6
_VERSION = re.compile(r'(\d{1,4})\.(\d{1,4})', re.ASCII)

_HINTS = {
    400: 'the API version is not known to it',
    403: 'it wants the certificate of an administrator (cert_file, key_file)',
    404: 'it is no verifier of Keylime, or no version of it that is known',
}


class Said(typing.NamedTuple):
    """What a verifier has said.

    :ivar agents: agent -> what is kept of its status, as of the last answer;
        pairs, for two spellings of one agent are two
    :ivar trouble: why there is no newer answer; '' if there need be none
    :ivar took: seconds that the last answer took
    """

    agents: tuple[tuple[str, agent_record.Record], ...] = ()
    trouble: str = ''
    took: float = 0.0


class Verifier:
    """One verifier, and what it has said last.

    :ivar url: ``https://HOST:PORT``
    """

    def __init__(
        self, url: str, client: https_client.Client, timeout: float
    ) -> None:
        """:param url: ``https://HOST:PORT``
        :param client: who asks
        :param timeout: seconds for a look
        """
        self.url = url
        self._client = client
        self._timeout = timeout
        self._said = Said()
        self._thread: threading.Thread | None = None
        self._began = 0.0

    def start(self) -> None:
        """Look at it, on a thread of its own; if that is done, nothing."""
        if not self.is_busy():
            self._began = time.monotonic()
            # A daemon: the end of a service does not wait for it.
            self._thread = threading.Thread(
                target=self._look, name='isolation-verifier', daemon=True
            )
            self._thread.start()

    def is_busy(self) -> bool:
        """Whether it is being looked at. After a fork it is not."""
        return self._thread is not None and self._thread.is_alive()

    def wait(self, until: float) -> None:
        """Wait for the look.

        :param until: and no longer, by the monotonic clock
        """
        if self._thread is not None:
            self._thread.join(max(until - time.monotonic(), 0.0))

    def said(self) -> Said:
        """What it has said last."""
        if not self.is_busy():
            return self._said
        ago = time.monotonic() - self._began
        return self._said._replace(
            trouble=f'{self.url}: no answer yet, after {ago:.0f} s'
        )

    def close(self) -> None:
        """Call off what is under way."""
        self._client.close()

    def _look(self) -> None:
        try:
            agents = self._ask()
        except provider.ProviderError as error:
            self._said = self._said._replace(trouble=str(error))
        except Exception as error:
            # Nobody else sees what a thread raises.
            LOG.exception('Verifier %s cannot be asked', self.url)
            self._said = self._said._replace(
                trouble=f'{self.url}: {type(error).__name__}'
            )
        else:
            self._said = Said(agents, '', time.monotonic() - self._began)

    def _ask(self) -> tuple[tuple[str, agent_record.Record], ...]:
        """All agents that it knows.

        The version is asked for each time. It costs a small fraction, an
        upgraded verifier is no special case, and the clock is compared with
        an answer that is made quickly: that about all agents says when it
        was begun.
        """
        until = time.monotonic() + self._timeout
        version = self._version(self._get('/version', until))
        answer = self._get(f'/v{version}/agents/?bulk=true', until)
        agents = self._results(answer)
        return tuple(
            (
                host_map.normal(agent),
                agent_record.read(status, answer.at),
            )
            for agent, status in agents.items()
        )

    def _get(self, path: str, until: float) -> https_client.Answer:
        # At least a moment: it is the client that says why there is no more.
        left = max(until - time.monotonic(), 0.01)
        answer = self._client.get(self.url + path, timeout=left)
        if answer.status != 200:
            hint = _HINTS.get(answer.status)
            raise provider.ProviderError(
                f'{self.url}{path}: wanted an answer, found HTTP '
                f'{answer.status}{f": {hint}" if hint else ""}'
            )
        return answer

    def _results(
        self, answer: https_client.Answer
    ) -> Mapping[str, typing.Any]:
        """The ``results`` of Keylime's answers.

        :raises nova_isolation.attestation.provider.ProviderError: it is none
        """
        try:
            value = json.loads(
                answer.body,
                object_pairs_hook=agent_record.reduce,
                parse_constant=_refuse,
            )
            results = value['results']
            if not isinstance(results, dict):
                raise ValueError('no results')
        except (
            ValueError,
            TypeError,
            LookupError,
            RecursionError,
        ) as error:
            # Not its words: they might quote a key share.
            raise provider.ProviderError(
                f'{self.url}: an answer of {len(answer.body)} bytes that is '
                f'not what a verifier says ({type(error).__name__})'
            ) from None
        return results

    def _version(self, answer: https_client.Answer) -> str:
        """The newest version of the API that both know."""
        offered = self._results(answer).get('supported_versions')
        minors = [
            int(found[2])
            for one in (offered if isinstance(offered, list) else ())
            if isinstance(one, str)
            and (found := _VERSION.fullmatch(one))
            and int(found[1]) == _MAJOR
            and int(found[2]) <= _NEWEST
        ]
        if not minors:
            raise provider.ProviderError(
                f'{self.url}: wanted API {_MAJOR}.0 to {_MAJOR}.{_NEWEST}, '
                f'found {str(offered)[:200]}'
            )
        return f'{_MAJOR}.{max(minors)}'


def _refuse(constant: str) -> typing.NoReturn:
    raise ValueError(constant)
