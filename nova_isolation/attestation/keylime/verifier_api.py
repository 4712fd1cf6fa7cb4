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

"""The API of one Keylime verifier."""

from collections.abc import Callable
from collections.abc import Mapping
import itertools
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
from nova_isolation.https import https_error

LOG = logging.getLogger(__name__)

T = typing.TypeVar('T')

#: The newest known API: ``keylime.api_version`` of 7.14.3. API 3.x has no
#: status of agents, and a newer minor version may have a different status.
#: How many agents are read without a pause. Eventlet's other green threads run
#: in the pauses; without them ten thousand agents hold up a service for 0.1 s.
_AT_ONCE = 500

_MAJOR, _NEWEST = 2, 6
_VERSION = re.compile(r'(\d{1,4})\.(\d{1,4})', re.ASCII)

_HINTS = {
    400: 'the verifier does not know the API version',
    403: (
        'the verifier wants the certificate of an administrator (cert_file, '
        'key_file)'
    ),
    404: (
        'the server is not a verifier of Keylime, or not one of a known '
        'version'
    ),
}


class Report(typing.NamedTuple):
    """What a verifier has reported.

    :ivar agents: pairs of an agent and its status, as of the last answer. Not
        a mapping, because an agent may appear in two spellings.
    :ivar trouble: why there is no newer answer, in words; '' for no reason
    :ivar took: seconds that the last answer took
    """

    agents: tuple[tuple[str, agent_record.Record], ...] = ()
    trouble: str = ''
    took: float = 0.0


class Verifier:
    """One verifier, and its last report.

    :ivar url: ``https://HOST:PORT``
    """

    def __init__(
        self, url: str, client: https_client.Client, timeout: float
    ) -> None:
        """:param url: ``https://HOST:PORT``
        :param client: for requests to this verifier
        :param timeout: seconds for one poll
        """
        self.url = url
        self._client = client
        self._timeout = timeout
        self._report = Report()
        self._thread: threading.Thread | None = None
        self._began = 0.0

    def start(self) -> None:
        """Poll the verifier on a thread, unless a poll is under way."""
        if not self.is_busy():
            self._began = time.monotonic()
            # A daemon thread: the end of a service does not wait for it.
            self._thread = threading.Thread(
                target=self._poll, name='isolation-verifier', daemon=True
            )
            self._thread.start()

    def is_busy(self) -> bool:
        """Return whether a poll is under way. After a fork none is."""
        return self._thread is not None and self._thread.is_alive()

    def wait(self, until: float) -> None:
        """Wait until the poll has ended.

        :param until: the latest end of the wait, by the monotonic clock
        """
        if self._thread is not None:
            self._thread.join(max(until - time.monotonic(), 0.0))

    def report(self) -> Report:
        """Return the last report."""
        if not self.is_busy():
            return self._report
        ago = time.monotonic() - self._began
        return self._report._replace(
            trouble=f'{self.url}: no answer yet, after {ago:.0f} s'
        )

    def close(self) -> None:
        """Cancel the request that is under way."""
        self._client.close()

    def _poll(self) -> None:
        try:
            agents = self._ask()
        except (provider.ProviderError, https_error.HttpsError) as error:
            self._report = self._report._replace(trouble=str(error))
        except BaseException as error:
            # Any other exception would end this thread unseen.
            LOG.exception('Verifier %s could not be polled', self.url)
            self._report = self._report._replace(
                trouble=f'{self.url}: {type(error).__name__}'
            )
        else:
            self._report = Report(agents, '', time.monotonic() - self._began)

    def _ask(self) -> tuple[tuple[str, agent_record.Record], ...]:
        """Return all agents that the verifier knows.

        The API version is asked for each time. That costs little, covers a
        verifier that was upgraded, and gives a quick answer for the check of
        the clock: the answer about all agents takes seconds and is dated when
        the verifier began it.
        """
        until = time.monotonic() + self._timeout
        version = newest_version(
            self.url, self._results(self._get('/version', until))
        )
        answer = self._get(f'/v{version}/agents/?bulk=true', until)
        agents = self._results(answer)
        if agents and not any(map(agent_record.is_status, agents.values())):
            raise provider.ProviderError(
                f'{self.url}: wanted agents with attestation_status, which '
                f'verifiers state since Keylime 7.14, found none, with API '
                f'{version}; upgrade the verifier'
            )
        read = _pausing(agent_record.read)
        return tuple(
            (
                host_map.normal(agent),
                read(status, answer.at),
            )
            for agent, status in agents.items()
        )

    def _get(self, path: str, until: float) -> https_client.Answer:
        # Never 0: the client then reports why there is no answer.
        left = max(until - time.monotonic(), 0.01)
        answer = self._client.get(self.url + path, timeout=left)
        if answer.status != 200:
            hint = _HINTS.get(answer.status)
            raise provider.ProviderError(
                f'{self.url}{path}: wanted status 200, found HTTP '
                f'{answer.status}{f": {hint}" if hint else ""}'
            )
        return answer

    def _results(
        self, answer: https_client.Answer
    ) -> Mapping[str, typing.Any]:
        """Return ``results`` of an answer.

        :raises nova_isolation.attestation.provider.ProviderError: the answer
            has none
        """
        try:
            value = json.loads(
                answer.body,
                object_pairs_hook=_pausing(agent_record.reduce),
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
            # The words of the error might quote a key share.
            raise provider.ProviderError(
                f'{self.url}: wanted an answer of a verifier, found '
                f'{len(answer.body)} bytes that are not understood '
                f'({type(error).__name__})'
            ) from None
        return results


def newest_version(url: str, results: Mapping[str, typing.Any]) -> str:
    """Return the newest version of the API that both sides know.

    :param url: of the server, for messages
    :param results: of its answer about ``/version``
    :raises nova_isolation.attestation.provider.ProviderError: there is none
    """
    offered = results.get('supported_versions')
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
            f'{url}: wanted API {_MAJOR}.0 to {_MAJOR}.{_NEWEST}, '
            f'found {str(offered)[:200]}; install Keylime 7.14'
        )
    return f'{_MAJOR}.{max(minors)}'


def _pausing(function: Callable[..., T]) -> Callable[..., T]:
    """Return the function, which lets other threads run now and then."""
    calls = itertools.count(1)

    def call(*args: typing.Any) -> T:
        if next(calls) % _AT_ONCE == 0:
            time.sleep(0)
        return function(*args)

    return call


def _refuse(constant: str) -> typing.NoReturn:
    raise ValueError(constant)
