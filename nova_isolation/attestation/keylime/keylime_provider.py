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


"""A provider that asks Keylime's verifiers.

Written against Keylime 7.14.3, API 2.x. The client certificate that a
verifier wants is that of an administrator of it: this provider belongs into
nova-isolation-attestd rather than into each service.
"""

from collections.abc import Mapping
import logging
import time
import types
import typing

from nova_isolation.attestation import provider
from nova_isolation.attestation import snapshot
from nova_isolation.attestation.keylime import agent_record
from nova_isolation.attestation.keylime import host_map
from nova_isolation.attestation.keylime import verifier_api
from nova_isolation.https import https_client
from nova_isolation.model import attestation_result

LOG = logging.getLogger(__name__)

#: Seconds that one verifier's answer waits for another's.
_PATIENCE = 3.0

#: Seconds between two looks at who has answered.
_GLANCE = 0.05

#: Seconds by which a look may end later than its time-out.
_LAST = 1.0


class KeylimeProvider(provider.Provider):
    """Asks ``[isolation_attestation] verifiers`` about all their agents."""

    def __init__(self, options: typing.Any) -> None:
        """See the base class."""
        if not options.verifiers:
            raise provider.ProviderError(
                '[isolation_attestation] verifiers is empty; wanted the '
                'addresses of Keylime verifiers, https://HOST:PORT'
            )
        if not (options.cert_file and options.key_file):
            raise provider.ProviderError(
                '[isolation_attestation] cert_file or key_file is not set; '
                'a verifier of Keylime answers nobody without a certificate'
            )
        self._interval: float = options.poll_interval
        self._timeout: float = options.timeout
        self.pause = self._interval
        self._map = host_map.HostMap(options.host_map)
        self._verifiers = [
            verifier_api.Verifier(
                url,
                https_client.Client(
                    ca_file=options.ca_file,
                    cert_file=options.cert_file,
                    key_file=options.key_file,
                    timeout=options.timeout,
                    clock_skew=options.clock_skew,
                ),
                options.timeout,
            )
            for url in dict.fromkeys(
                one.rstrip('/') for one in options.verifiers
            )
        ]
        #: Verifiers of which a failure was logged.
        self._told: set[str] = set()
        #: Hosts of which it was logged that they are ambiguous.
        self._unclear: Mapping[str, str] = {}

    def fetch(self, before: snapshot.Snapshot) -> snapshot.Snapshot:
        """See the base class.

        A verifier that cannot be asked keeps what it said last, with the
        times of then; it delays what others say by a moment at most.
        """
        began = time.monotonic()
        for one in self._verifiers:
            one.start()
        self._wait(began + self._timeout + _LAST)
        said = {one.url: one.said() for one in self._verifiers}
        failed = {url: one.trouble for url, one in said.items() if one.trouble}
        trouble = '; '.join(failed.values())
        if len(failed) == len(said):
            raise provider.ProviderError(trouble)
        self._log(failed)
        # A verifier is not asked for longer than it is left alone.
        self.pause = max(
            self._interval,
            *(one.took for one in said.values() if not one.trouble),
        )
        return snapshot.Snapshot(
            self._map.by,
            types.MappingProxyType(self._verdicts(said)),
            trouble,
        )

    def close(self) -> None:
        """See the base class."""
        for verifier in self._verifiers:
            verifier.close()

    def _wait(self, until: float) -> None:
        """Wait for all; once one has answered well, only for a moment, or for
        those that usually take longer.
        """
        answered = False
        usual = max(one.said().took for one in self._verifiers)
        patience = max(_PATIENCE, 1.5 * usual)
        while busy := [one for one in self._verifiers if one.is_busy()]:
            now = time.monotonic()
            if not answered and not all(
                one.said().trouble for one in self._verifiers
            ):
                answered, until = True, min(until, now + patience)
            if now >= until:
                return
            busy[0].wait(min(until, now + _GLANCE))

    def _verdicts(
        self, said: Mapping[str, verifier_api.Said]
    ) -> dict[str, snapshot.Verdict]:
        known: dict[str, tuple[str, agent_record.Record]] = {}
        twice: dict[str, list[str]] = {}
        for url, one in said.items():
            for agent, record in one.agents:
                if agent in known:
                    twice.setdefault(agent, [known[agent][0]]).append(url)
                known[agent] = url, record
        mapped = self._map.map(
            pair for one in said.values() for pair in one.agents
        )
        verdicts = {
            host: snapshot.Verdict(
                record.document,
                record.good_at,
                record.told_at,
                agent,
                url,
            )
            for host, agent in mapped.agents.items()
            if agent in known and agent not in twice
            for url, record in (known[agent],)
        }
        unclear = dict(mapped.ambiguous)
        for host, agent in mapped.agents.items():
            if agent in twice:
                unclear[host] = (
                    f'agent {agent} is known twice: {", ".join(twice[agent])}'
                )
        for host, why in unclear.items():
            verdicts[host] = _ambiguous(why, mapped.agents.get(host, ''))
            if self._unclear.get(host) != why:
                LOG.error(
                    'Host %s does not count as attested: %s. Correct what '
                    'host_map or the verifiers say',
                    host,
                    why,
                )
        self._unclear = unclear
        return verdicts

    def _log(self, failed: Mapping[str, str]) -> None:
        """Each failure in a row once, and its end.

        If none answers, whoever called tells.
        """
        for url in failed.keys() - self._told:
            LOG.warning(
                'A verifier cannot be asked, so what it said of its hosts '
                'runs out: %s',
                failed[url],
            )
        for url in self._told - failed.keys():
            LOG.info('Verifier %s answers again', url)
        self._told = set(failed)


def _ambiguous(why: str, agent: str) -> snapshot.Verdict:
    return snapshot.Verdict(
        attestation_result.dumps(
            attestation_result.AttestationResult(
                attestation_result.AMBIGUOUS, why
            )
        ),
        None,
        None,
        agent,
        '',
    )
