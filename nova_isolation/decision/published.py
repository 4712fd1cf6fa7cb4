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

"""The decision on what a compute host has published.

A host publishes three stats of its compute node in Nova
(:mod:`nova_isolation.model.facts`): its facts, the time at which it measured
them, and its ``[isolation] mode``. :class:`PublishedDecision` is the only
reader of the three. The scheduler's filter, the source of a live migration
and ``nova-isolation-manage explain`` call it, so that they cannot disagree.
It does no I/O, takes no lock, imports no Nova and has no clock of its own.
"""

from collections.abc import Callable
from collections.abc import Mapping

from nova_isolation.decision import cache
from nova_isolation.decision import decision
from nova_isolation.mechanisms import registry
from nova_isolation.model import evidence
from nova_isolation.model import facts
from nova_isolation.model import reasons
from nova_isolation.model import requirements

_ENFORCE = 'enforce'

#: The stats of a compute node, and the reason codes of a refusal.
Stats = Mapping[str, object]
Codes = tuple[str, ...]


def document(stats: Stats) -> object:
    """The facts that a host has published, a JSON text; None: none."""
    return stats.get(facts.STAT)


def mode(stats: Stats) -> object:
    """The ``[isolation] mode`` that a host has published; None: none."""
    return stats.get(facts.MODE_STAT)


def enforces(stats: Stats | None) -> bool:
    """Whether a host has published that it enforces.

    :param stats: the stats of the host's compute node; None or empty for a
        node that has not reported yet
    """
    return mode(stats or {}) == _ENFORCE


class PublishedDecision:
    """Decides for one flavor about any number of hosts.

    Alike hosts are decided about once
    (:class:`nova_isolation.decision.cache.DecisionCache`).

    :ivar freshness: how old the facts of a host may be
    :ivar enforces: whether the service that decides enforces
    """

    def __init__(
        self,
        wanted: requirements.Requirements,
        freshness: facts.Freshness,
        mechanisms: registry.Mechanisms,
        *,
        enforces: bool,
    ) -> None:
        """:param wanted: what the flavor asks for

        :param freshness: how old the facts of a host may be
        :param mechanisms: the mechanisms of this process
        :param enforces: whether the service that decides enforces. It then
            refuses a host that does not: such a host would run the guest
            whatever it finds. A service in audit mode does not ask for it.
        """
        self.freshness = freshness
        self.enforces = enforces
        self._cache = cache.DecisionCache(wanted, freshness, mechanisms)
        # An untagged flavor is accepted everywhere.
        self._refuses_audit = enforces and bool(wanted)

    @property
    def needs_statements(self) -> bool:
        """Whether the statements of third parties count for this flavor."""
        return self._cache.asks

    def at(
        self, now: float, confirmed: float | None = None
    ) -> Callable[[Stats | None, cache.Statements], Codes]:
        """Return what finds the reasons of refusals at one moment.

        The scheduler asks it about ten thousand hosts. What nearly all of
        them have in common is looked at in place: a host that enforces, whose
        facts and statement are as those of a host before it.

        :param now: seconds since the epoch, by the clock of this host
        :param confirmed: seconds since the epoch by the clock that ages the
            statements (``Attestation.clock``); ``now`` where it is None
        :returns: a function. Its parameters are the stats of a host's compute
            node (None or empty for a node that has not reported yet) and what
            third parties have stated about the host, by the name of the
            mechanism. It returns the reason codes of :meth:`decide`, without
            words; empty where the guest is accepted.
        """
        stated = now if confirmed is None else confirmed

        def other(stats: Stats | None, statements: cache.Statements) -> Codes:
            return self._codes(stats or {}, now, statements, stated)

        if len(self._cache.limits) != 1:
            return other
        ((name, limits),) = self._cache.limits
        kept: Mapping[object, Codes] = self._cache.kept_codes
        #: a published time -> whether facts of that time count
        fresh: dict[object, bool] = {}

        def codes(stats: Stats | None, statements: cache.Statements) -> Codes:
            try:
                if stats and stats[facts.MODE_STAT] == _ENFORCE:
                    measured = stats[facts.TIME_STAT]
                    counts = fresh.get(measured)
                    if counts is None:
                        counts = fresh[measured] = self.freshness.accepts(
                            facts.age(stats, now)
                        )
                    if counts:
                        said = statements[name]
                        return kept[
                            stats[facts.STAT],
                            said.document,
                            said.band(stated, limits),
                        ]
            except (KeyError, TypeError):
                # The first of its kind, or something is missing or malformed.
                pass
            return other(stats, statements)

        return codes

    def _codes(
        self,
        stats: Stats,
        now: float,
        statements: cache.Statements,
        confirmed: float,
    ) -> Codes:
        found = self._cache.codes(
            document(stats), facts.age(stats, now), statements, confirmed
        )
        if self._refuses_audit and _audits(stats):
            return tuple(sorted({reasons.HOST_AUDITS.code, *found}))
        return found

    def decide(
        self,
        stats: Stats | None,
        now: float,
        statements: cache.Statements = evidence.NO_EVIDENCE,
        confirmed: float | None = None,
    ) -> decision.Decision:
        """Decide about one host.

        :param stats: the stats of the host's compute node; None or empty for
            a node that has not reported yet
        :param now: see :meth:`at`
        :param statements: name of a mechanism -> what a third party has
            stated about the host
        :param confirmed: see :meth:`at`
        :returns: accepted, or every requirement that is not met
        """
        if stats is None:
            stats = {}
        answer = self._cache.decide(
            document(stats),
            facts.age(stats, now),
            statements,
            now if confirmed is None else confirmed,
        )
        if self._refuses_audit and _audits(stats):
            return _with_mode(answer, stats)
        return answer


def _audits(stats: Stats) -> bool:
    """Whether a host has to be refused because it does not enforce.

    A host that runs another driver, or has not reported yet, has neither mode
    nor facts; the missing facts say so already.
    """
    if enforces(stats):
        return False
    return mode(stats) is not None or bool(document(stats))


def _with_mode(answer: decision.Decision, stats: Stats) -> decision.Decision:
    """Add to a decision that the host does not enforce."""
    its = mode(stats)
    found = 'no published mode' if its is None else f'mode {its}'
    return decision.Decision(
        (
            reasons.Unmet(
                reasons.HOST_AUDITS.code, '', 'a host in mode enforce', found
            ),
            *answer.unmet,
        )
    )
