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

"""The audit: what in the whole cloud does not keep what flavors promise.

Findings are functions of a picture of the cloud, the rules of the service and
what its configuration says. What is not known is a finding of its own.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses

from nova_isolation.decision import published
from nova_isolation.model import facts
from nova_isolation.model import printable
from nova_isolation.model import requirements
from nova_isolation.model import vocabulary
from nova_isolation.report import audit_kinds
from nova_isolation.report import explanation
from nova_isolation.report import picture
from nova_isolation.report import server as servers

_FILTER = 'IsolationFilter'


@dataclasses.dataclass(frozen=True)
class Configuration:
    """What the configuration of the service says about the cloud.

    :ivar filters: ``[filter_scheduler] enabled_filters``; None: it does not
        say
    """

    filters: tuple[str, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Finding:
    """One finding.

    :ivar kind: which kind
    :ivar subject: server, host, flavor or service
    :ivar id: the UUID of the server, the ID of the flavor, or the name
    :ivar name: its name
    :ivar detail: what was found, one printable line
    """

    kind: audit_kinds.Kind
    subject: str
    id: str
    name: str
    detail: str

    def __post_init__(self) -> None:
        for name in ('name', 'detail'):
            text = printable.one_line(getattr(self, name))
            object.__setattr__(self, name, text)


@dataclasses.dataclass(frozen=True)
class Cloud:
    """What is audited.

    :ivar seen: the picture of the cloud
    :ivar rules: by which the service decides
    :ivar moment: the time of the audit
    :ivar said: what the configuration of the service says
    """

    seen: picture.Picture
    rules: explanation.Rules
    moment: explanation.Moment
    said: Configuration


def findings(cloud: Cloud) -> list[Finding]:
    """Return all findings: errors first, then by code and name."""
    found = [one for check in _CHECKS for one in check(cloud)]
    return sorted(
        found,
        key=lambda one: (
            one.kind.severity != audit_kinds.ERROR,
            one.kind.code,
            one.name,
            one.id,
            one.detail,
        ),
    )


def as_json(cloud: Cloud, found: Iterable[Finding]) -> dict[str, object]:
    """Return an audit as JSON values.

    :param cloud: what was audited
    :param found: its findings
    """
    return {
        'checked': {
            'hosts': len(cloud.seen.nodes),
            'flavors': len(cloud.seen.flavors),
            'servers': len(cloud.seen.servers),
        },
        'findings': [
            {
                'code': one.kind.code,
                'severity': one.kind.severity,
                'subject': {
                    'type': one.subject,
                    'id': one.id,
                    'name': one.name,
                },
                'detail': one.detail,
                'remedy': one.kind.remedy,
            }
            for one in found
        ],
    }


def _servers(cloud: Cloud) -> Iterator[Finding]:
    nodes = {node.host: node for node in cloud.seen.nodes}
    for server in cloud.seen.servers:
        for kind, detail in _of_server(server, nodes):
            yield Finding(kind, 'server', server.uuid, server.name, detail)


def _of_server(
    server: servers.Server, nodes: Mapping[str, picture.ComputeNode]
) -> Iterator[tuple[audit_kinds.Kind, str]]:
    if server.host:
        node = nodes.get(server.host)
        asks = '; the server asks for ' + ', '.join(
            f'{key}={value}'
            for key, value in explanation.ours(server.extra_specs).items()
        )
        if node is None:
            yield (
                audit_kinds.SERVER_UNGUARDED,
                f'host {server.host} has no compute node{asks}',
            )
        elif not published.document(node.stats):
            yield (
                audit_kinds.SERVER_UNGUARDED,
                f'host {server.host} publishes no facts{asks}',
            )
        elif not published.enforces(node.stats):
            yield (
                audit_kinds.SERVER_AUDITED,
                f'host {server.host} does not enforce{asks}',
            )
    newest = server.newest
    if server.violates and newest is not None:
        yield (
            audit_kinds.SERVER_VIOLATES,
            f'host {server.host or "unknown"}, {newest.at}: '
            + (', '.join(newest.codes) or newest.details),
        )


def _flavors(cloud: Cloud) -> Iterator[Finding]:
    known = cloud.rules.mechanisms.vocabulary
    for flavor in cloud.seen.flavors:
        misses = explanation.near_misses(
            flavor.extra_specs, cloud.rules.mechanisms
        )
        for key, meant in misses.items():
            yield Finding(
                audit_kinds.FLAVOR_MISTYPED,
                'flavor',
                flavor.flavor_id,
                flavor.name,
                f'{key} is no extra spec of nova-isolation; {meant} may be '
                'meant',
            )
        for unmet in requirements.parse(flavor.extra_specs, known).problems:
            if vocabulary.is_ours(unmet.key):
                yield Finding(
                    audit_kinds.FLAVOR_INVALID,
                    'flavor',
                    flavor.flavor_id,
                    flavor.name,
                    str(unmet),
                )


def _hosts(cloud: Cloud) -> Iterator[Finding]:
    for node in cloud.seen.nodes:
        if not published.document(node.stats):
            # Hosts with Nova's own driver are no fault of a cloud.
            continue
        for kind, detail in _of_host(node, cloud):
            yield Finding(kind, 'host', node.host, node.host, detail)


def _of_host(
    node: picture.ComputeNode, cloud: Cloud
) -> Iterator[tuple[audit_kinds.Kind, str]]:
    if not published.enforces(node.stats):
        mode = published.mode(node.stats)
        yield (
            audit_kinds.HOST_AUDITS,
            'no published mode' if mode is None else f'mode {mode}',
        )
    try:
        sections = facts.loads(published.document(node.stats)).sections
    except facts.FactsError as error:
        yield audit_kinds.HOST_SCHEMA, f'{error} [{error.reason.code}]'
    else:
        violated = sorted(
            name
            for name, section in sections.items()
            if facts.violated_by(section) is not None
        )
        if violated:
            yield (
                audit_kinds.HOST_VIOLATED,
                'violated: ' + ', '.join(violated),
            )
    age = facts.age(node.stats, cloud.moment.now)
    # A host that is down or disabled is not expected to report.
    if not node.state and not cloud.rules.freshness.accepts(age):
        limit = cloud.rules.freshness.max_age
        yield (
            audit_kinds.HOST_STALE,
            'the time of its facts is missing or malformed'
            if age is None
            else f'its facts are {age:.0f} s old, {limit:.0f} s are allowed',
        )


def _traits(cloud: Cloud) -> Iterator[Finding]:
    held = cloud.seen.traits
    if held is None:
        yield Finding(
            audit_kinds.TRAITS_UNKNOWN,
            'service',
            'placement',
            'placement',
            cloud.seen.traits_trouble,
        )
        return
    for node in cloud.seen.nodes:
        # A host that publishes facts puts its traits right by itself, within
        # a period of its resource tracker.
        if published.document(node.stats):
            continue
        stale = held.get(node.uuid, frozenset())
        if stale:
            yield Finding(
                audit_kinds.TRAITS_STALE,
                'host',
                node.host,
                node.host,
                'the host publishes no facts and has '
                + ', '.join(sorted(stale)),
            )


def _filter(cloud: Cloud) -> Iterator[Finding]:
    filters = cloud.said.filters
    if filters is None:
        yield Finding(
            audit_kinds.FILTER_UNKNOWN,
            'service',
            'nova-scheduler',
            'nova-scheduler',
            '[filter_scheduler] enabled_filters is not set here',
        )
    elif _FILTER not in filters:
        yield Finding(
            audit_kinds.FILTER_DISABLED,
            'service',
            'nova-scheduler',
            'nova-scheduler',
            'enabled_filters is ' + ','.join(filters),
        )


def _cells(cloud: Cloud) -> Iterator[Finding]:
    for one in cloud.seen.unread:
        yield Finding(
            audit_kinds.CELL_UNREAD, 'service', one.cell, one.cell, one.reason
        )


_CHECKS: tuple[Callable[[Cloud], Iterable[Finding]], ...] = (
    _servers,
    _flavors,
    _hosts,
    _traits,
    _filter,
    _cells,
)
