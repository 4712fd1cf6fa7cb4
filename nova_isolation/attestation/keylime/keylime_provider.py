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

"""The provider ``keylime``: asks Keylime's verifiers.

Written against Keylime 7.14.3, API 2.x. A verifier accepts only the client
certificate of an administrator, so this provider belongs in
nova-isolation-attestd rather than in each service.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import logging
import time
import types
import typing

from oslo_config import cfg
from oslo_config import types as option_types

from nova_isolation.attestation import provider
from nova_isolation.attestation import snapshot
from nova_isolation.attestation.keylime import agent_record
from nova_isolation.attestation.keylime import host_map
from nova_isolation.attestation.keylime import revocation_message
from nova_isolation.attestation.keylime import verifier_api
from nova_isolation.https import https_client
from nova_isolation.https import https_error
from nova_isolation.mechanisms.attested import attestation_result
from nova_isolation.model import printable

LOG = logging.getLogger(__name__)

#: Seconds for which the answer of one verifier waits for those of others.
_PATIENCE = 3.0

#: Seconds between two checks of which verifiers have answered.
_CHECK_INTERVAL = 0.05

#: Seconds by which a poll may end after its timeout.
_GRACE = 1.0

_OPTIONS = (
    cfg.ListOpt(
        'verifiers',
        default=[],
        item_type=option_types.URI(schemes=['https']),
        deprecated_group='isolation_attestation',
        deprecated_name='verifiers',
        help="""
Addresses of the verifiers, each ``https://HOST:PORT``.

Verifiers that share one database give the same answers: name only one of
them.
""",
    ),
    cfg.FloatOpt(
        'poll_interval',
        default=10.0,
        min=0.1,
        deprecated_group='isolation_attestation',
        deprecated_name='poll_interval',
        help="""
Seconds between two polls of the verifiers.

The interval is never shorter than the time that the last poll took.
""",
    ),
    cfg.StrOpt(
        'host_map',
        default='',
        deprecated_group='isolation_attestation',
        deprecated_name='host_map',
        help="""
Which agent runs on which host.

* A path: a file with one ``HOST AGENT`` per line, the name of the compute
  service (``[DEFAULT] host``) and the UUID of the agent; ``#`` begins a
  comment. The file is read again when it has changed.
* ``node-uuid``: the UUID of the agent is the UUID of the compute node.
* ``metadata``: the agent's meta data at the verifier is JSON, in which
  ``host`` is the name of the compute service.

A host with two agents, or an agent with two hosts, does not count as
attested.
""",
    ),
)


class KeylimeProvider(provider.Provider):
    """Asks ``[isolation_attestation_keylime] verifiers`` about all agents."""

    @classmethod
    def options(cls) -> Sequence[cfg.Opt]:
        """See the base class."""
        return _OPTIONS

    def __init__(self, common: typing.Any, own: typing.Any) -> None:
        """See the base class."""
        if not own.verifiers:
            raise provider.ProviderError(
                '[isolation_attestation_keylime] verifiers is empty; wanted '
                'the addresses of Keylime verifiers, https://HOST:PORT'
            )
        if not (common.cert_file and common.key_file):
            raise provider.ProviderError(
                '[isolation_attestation] cert_file or key_file is not set; '
                'a verifier of Keylime requires a client certificate'
            )
        self._interval: float = own.poll_interval
        self._timeout: float = common.timeout
        self.pause = self._interval
        self._map = host_map.HostMap(own.host_map)
        try:
            self._verifiers = [
                verifier_api.Verifier(
                    url,
                    https_client.Client(
                        ca_file=common.ca_file,
                        cert_file=common.cert_file,
                        key_file=common.key_file,
                        timeout=common.timeout,
                        clock_skew=common.clock_skew,
                    ),
                    common.timeout,
                )
                for url in dict.fromkeys(
                    one.rstrip('/') for one in own.verifiers
                )
            ]
        except https_error.HttpsError as error:
            raise provider.ProviderError(str(error)) from error
        #: Verifiers whose failure was logged.
        self._logged: set[str] = set()
        #: Hosts that were logged as ambiguous, and why.
        self._ambiguous: Mapping[str, str] = {}

    def fetch(self, before: snapshot.Snapshot) -> snapshot.Snapshot:
        """See the base class.

        The last report of a verifier that cannot be asked is kept, with its
        times. Such a verifier delays the reports of others by at most a few
        seconds.
        """
        began = time.monotonic()
        for one in self._verifiers:
            one.start()
        self._wait(began + self._timeout + _GRACE)
        reports = {one.url: one.report() for one in self._verifiers}
        failed = {
            url: one.trouble for url, one in reports.items() if one.trouble
        }
        trouble = '; '.join(failed.values())
        if len(failed) == len(reports):
            raise provider.ProviderError(trouble)
        self._log(failed)
        # A verifier spends at most half of its time on our polls.
        self.pause = max(
            self._interval,
            *(one.took for one in reports.values() if not one.trouble),
        )
        return snapshot.Snapshot(
            self._map.by,
            types.MappingProxyType(self._verdicts(reports)),
            trouble,
        )

    def revocation(self, body: bytes) -> provider.Revocation:
        """See the base class."""
        return revocation_message.read(body)

    def close(self) -> None:
        """See the base class."""
        for verifier in self._verifiers:
            verifier.close()

    def _wait(self, until: float) -> None:
        """Wait for all verifiers.

        After the first good answer the others have a few seconds, or half as
        long again as the slowest poll of last time.
        """
        answered = False
        usual = max(one.report().took for one in self._verifiers)
        patience = max(_PATIENCE, 1.5 * usual)
        while busy := [one for one in self._verifiers if one.is_busy()]:
            now = time.monotonic()
            if not answered and not all(
                one.report().trouble for one in self._verifiers
            ):
                answered, until = True, min(until, now + patience)
            if now >= until:
                return
            busy[0].wait(min(until, now + _CHECK_INTERVAL))

    def _verdicts(
        self, reports: Mapping[str, verifier_api.Report]
    ) -> dict[str, snapshot.Verdict]:
        known: dict[str, tuple[str, agent_record.Record]] = {}
        twice: dict[str, list[str]] = {}
        for url, one in reports.items():
            for agent, record in one.agents:
                if agent in known:
                    twice.setdefault(agent, [known[agent][0]]).append(url)
                known[agent] = url, record
        mapped = self._map.map(
            pair for one in reports.values() for pair in one.agents
        )
        verdicts = {
            host: snapshot.Verdict(
                record.document,
                record.good_at,
                record.reported_at,
                agent,
                url,
            )
            for host, agent in mapped.agents.items()
            if agent in known and agent not in twice
            for url, record in (known[agent],)
        }
        ambiguous = dict(mapped.ambiguous)
        for host, agent in mapped.agents.items():
            if agent in twice:
                ambiguous[host] = (
                    f'agent {agent} is known to more than one verifier: '
                    f'{", ".join(twice[agent])}'
                )
        for host, why in ambiguous.items():
            verdicts[host] = _ambiguous_verdict(
                why, mapped.agents.get(host, '')
            )
            if self._ambiguous.get(host) != why:
                LOG.error(
                    'Host %s does not count as attested: %s. Correct the '
                    'host_map, or the agents at the verifiers',
                    printable.one_line(host),
                    printable.one_line(why),
                )
        self._ambiguous = ambiguous
        return verdicts

    def _log(self, failed: Mapping[str, str]) -> None:
        """Log the first failure of a verifier, and its first answer after it.

        If no verifier answers, the caller logs the failure.
        """
        for url in failed.keys() - self._logged:
            LOG.warning(
                'Verifier %s cannot be asked, so its verdicts will expire: %s',
                url,
                failed[url],
            )
        for url in self._logged - failed.keys():
            LOG.info('Verifier %s answers again', url)
        self._logged = set(failed)


def _ambiguous_verdict(why: str, agent: str) -> snapshot.Verdict:
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
