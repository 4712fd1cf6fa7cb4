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

"""Which Keylime agent runs on which host.

A rule of Keylime: it reads the identifiers and the meta data of Keylime's
agents. A provider for another verifier may know its hosts by other means.
"""

from collections.abc import Iterable
from collections.abc import Mapping
import os
import re
import typing

from nova_isolation.attestation import provider
from nova_isolation.attestation import snapshot
from nova_isolation.attestation.keylime import agent_record

#: Values of ``[isolation_attestation_keylime] host_map`` that are not files.
NODE_UUID = 'node-uuid'
METADATA = 'metadata'

#: Size limit of a file in bytes.
_MAX = 16 * 2**20

#: As ``keylime.common.validators.valid_agent_id``: the identifier of an agent
#: may also be a hash of its EK, or its host name.
_AGENT = re.compile(r'[\w.-]+')
_UUID = re.compile(
    r'[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}',
    re.IGNORECASE | re.ASCII,
)


class Mapped(typing.NamedTuple):
    """Which agent runs on which host.

    :ivar agents: host -> agent, one to one
    :ivar ambiguous: host without an unambiguous agent -> why, in words
    """

    agents: Mapping[str, str]
    ambiguous: Mapping[str, str]


def normal(agent: str) -> str:
    """Return the normal spelling of an identifier: UUIDs in lower case."""
    return agent.lower() if _UUID.fullmatch(agent) else agent


class HostMap:
    """``[isolation_attestation_keylime] host_map``: a file, or a rule.

    :ivar by: by what the hosts are named, see
        :class:`nova_isolation.attestation.snapshot.Snapshot`
    """

    def __init__(self, rule: str) -> None:
        """:param rule: the value of the option

        :raises nova_isolation.attestation.provider.ProviderError: the option
            is not set
        """
        if not rule:
            raise provider.ProviderError(
                f'[isolation_attestation_keylime] host_map is not set; wanted '
                f'the path of a file, {NODE_UUID} or {METADATA}'
            )
        self.by = snapshot.BY_NODE if rule == NODE_UUID else snapshot.BY_HOST
        self._rule = rule
        self._stamp: object = None
        self._pairs: frozenset[tuple[str, str]] = frozenset()

    def map(self, agents: Iterable[tuple[str, agent_record.Record]]) -> Mapped:
        """Return which agent runs on which host, now.

        :param agents: all agents of the verifiers; identifiers in the
            spelling of :func:`normal`
        :raises nova_isolation.attestation.provider.ProviderError: the file
            or one of its lines cannot be read
        """
        if self._rule == NODE_UUID:
            return _one_to_one({(agent, agent) for agent, _ in agents})
        if self._rule == METADATA:
            return _one_to_one(
                {(one.host, agent) for agent, one in agents if one.host}
            )
        self._read()
        return _one_to_one(self._pairs)

    def _read(self) -> None:
        """Read the file, if it has changed."""
        try:
            with open(self._rule, 'rb') as file:
                state = os.fstat(file.fileno())
                stamp = (state.st_mtime_ns, state.st_ino, state.st_size)
                if stamp == self._stamp:
                    return
                text = file.read(_MAX + 1)
        except OSError as error:
            raise self._error(error.strerror or str(error)) from error
        if len(text) > _MAX:
            raise self._error(f'the file has more than {_MAX} bytes')
        try:
            lines = text.decode().split('\n')
        except UnicodeDecodeError as error:
            raise self._error(f'the file is not UTF-8: {error}') from error
        pairs = set()
        for number, line in enumerate(lines, 1):
            words = line.partition('#')[0].split()
            if not words:
                continue
            if len(words) != 2 or not _AGENT.fullmatch(words[1]):
                raise self._error(
                    f'line {number}: wanted HOST AGENT, found {line[:200]!r}'
                )
            pairs.add((words[0], normal(words[1])))
        self._pairs, self._stamp = frozenset(pairs), stamp

    def _error(self, found: str) -> provider.ProviderError:
        return provider.ProviderError(
            f'host_map {self._rule} cannot be used: {found}'
        )


def _one_to_one(pairs: Iterable[tuple[str, str]]) -> Mapped:
    """Return the pairs whose host and agent are in no other pair."""
    agents: dict[str, list[str]] = {}
    hosts: dict[str, list[str]] = {}
    for host, agent in pairs:
        agents.setdefault(host, []).append(agent)
        hosts.setdefault(agent, []).append(host)
    ambiguous = {}
    for host, of_host in agents.items():
        if len(of_host) > 1:
            ambiguous[host] = f'it has more than one agent: {_list(of_host)}'
            continue
        of_agent = hosts[of_host[0]]
        if len(of_agent) > 1:
            ambiguous[host] = (
                f'agent {of_host[0]} is on more than one host: '
                f'{_list(of_agent)}'
            )
    return Mapped(
        {
            host: of_host[0]
            for host, of_host in agents.items()
            if host not in ambiguous
        },
        ambiguous,
    )


def _list(names: list[str]) -> str:
    """Return the first names, for a message."""
    shown = ', '.join(sorted(names)[:4])
    return shown if len(names) <= 4 else f'{shown} and {len(names) - 4} more'
