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

"""What is known of a server: what is asked, what was read back, its host."""

from collections.abc import Iterable
from collections.abc import Mapping

from nova_isolation.decision import published
from nova_isolation.model import examination
from nova_isolation.model import facts
from nova_isolation.model import reasons
from nova_isolation.model import requirements
from nova_isolation.report import explanation
from nova_isolation.report import picture
from nova_isolation.report import server as servers

#: What may be said of the host of a server.
STANDINGS = ('good', 'audits', 'stale', 'violated', 'unguarded', 'down')

#: Nova still has a disabled host run the guests that it has.
_DISABLED = 'is disabled'


def standing(
    node: picture.ComputeNode, rules: explanation.Rules, now: float
) -> str:
    """Return the standing of a host, one of :data:`STANDINGS`.

    ``down``: Nova hears nothing of it. ``unguarded``: it publishes no facts.
    ``stale``: its facts are too old, or cannot be read. ``violated``: a
    guest there is not confined as its flavor asks. ``audits``: it publishes
    no mode, or that it refuses nothing.

    :param node: its compute node
    :param rules: by which the service decides
    :param now: seconds since the epoch
    """
    if node.state and not node.state.startswith(_DISABLED):
        return 'down'
    document = node.stats.get(facts.STAT)
    if not document:
        return 'unguarded'
    if not rules.freshness.accepts(facts.age(node.stats, now)):
        return 'stale'
    try:
        sections = facts.loads(document).sections
    except facts.FactsError:
        return 'stale'
    if any(facts.violated_by(s) is not None for s in sections.values()):
        return 'violated'
    if not published.enforces(node.stats):
        return 'audits'
    return 'good'


class ServerReports:
    """Reports about servers.

    Owners read no name, mode or facts of a host, and of a reason what
    :attr:`nova_isolation.model.reasons.Reason.public` allows, as in a fault.
    """

    def __init__(
        self, rules: explanation.Rules, nodes: Iterable[picture.ComputeNode]
    ) -> None:
        """:param rules: by which the service decides

        :param nodes: the compute nodes of the cloud
        """
        self._rules = rules
        self._nodes = {node.host: node for node in nodes}

    def of(
        self,
        server: servers.Server,
        now: float,
        for_admins: bool,
        examined: examination.Examination | None = None,
    ) -> dict[str, object]:
        """Return the report about one server, as JSON values.

        :param server: the server
        :param now: seconds since the epoch
        :param for_admins: whether the whole is told; else what its owner may
            read
        :param examined: what its host has read from it just now
        """
        mechanisms = self._rules.mechanisms
        wanted = requirements.parse(server.extra_specs, mechanisms.vocabulary)
        newest = server.newest
        read = examined or (newest.read_back if newest else None)
        # A failure is reported as it was told.
        if read is not None and (examined or read.verified):
            read = read.asked(item.key for item in wanted.items)
        return {
            'id': server.uuid,
            'name': server.name,
            'project_id': server.project_id,
            'host': (server.host or None) if for_admins else None,
            'vm_state': server.vm_state,
            'flavor': server.flavor,
            'extra_specs': explanation.ours(server.extra_specs),
            'asked': [
                {
                    'key': item.key,
                    'value': item.value,
                    'mechanism': item.mechanism,
                }
                for item in wanted.items
            ],
            'problems': [
                explanation.json_of_unmet(item, mechanisms.reasons)
                for item in wanted.problems
            ],
            'verifications': [
                {
                    'event': one.event,
                    'result': one.result,
                    'at': one.at or None,
                    'request_id': one.request_id or None,
                    'codes': list(one.codes),
                    'details': one.details if for_admins else None,
                }
                for one in server.events
            ],
            'read_back': read
            and _read_back(read, for_admins, mechanisms.reasons),
            'host_standing': self._standing(server, now),
        }

    def _standing(self, server: servers.Server, now: float) -> str | None:
        """Return the standing of its host; None: it has no host."""
        if not server.host:
            return None
        node = self._nodes.get(server.host)
        # Nova keeps no compute node of a host that it has given up.
        return 'down' if node is None else standing(node, self._rules, now)


def _read_back(
    read: examination.Examination,
    for_admins: bool,
    known: Mapping[str, reasons.Reason],
) -> dict[str, object]:
    """Return what was read back, as JSON values."""
    return {
        'at': read.at or None,
        'verified': read.verified,
        'proofs': [
            {
                'requirement': one.requirement,
                # It may name a file of the host.
                'read': one.read if for_admins else None,
            }
            for one in read.proofs
        ],
        'unmet': [_unmet(one, for_admins, known) for one in read.unmet],
    }


def _unmet(
    unmet: reasons.Unmet,
    for_admins: bool,
    known: Mapping[str, reasons.Reason],
) -> dict[str, object]:
    reason = known.get(unmet.code)
    if for_admins or (reason is not None and reason.public):
        return dict(explanation.json_of_unmet(unmet, known))
    return {
        'code': unmet.code,
        'key': unmet.key,
        'wanted': None,
        'found': None,
        'remedy': None,
    }
