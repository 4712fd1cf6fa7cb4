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

"""Which hosts could run guests of a flavor, and what each other host lacks."""

import collections
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import functools

from nova_isolation.decision import cache
from nova_isolation.decision import decision
from nova_isolation.decision import published
from nova_isolation.mechanisms import registry
from nova_isolation.model import evidence
from nova_isolation.model import facts
from nova_isolation.model import reasons
from nova_isolation.model import requirements
from nova_isolation.report import picture

#: Host and UUID of a compute node -> what third parties state about it.
Statements = Callable[[str, str], cache.Statements]


@dataclasses.dataclass(frozen=True)
class Rules:
    """By which rules the service decides that is asked.

    :ivar mode: its ``[isolation] mode``
    :ivar freshness: how old the facts of a host may be
    :ivar mechanisms: the mechanisms of this process
    """

    mode: str
    freshness: facts.Freshness
    mechanisms: registry.Mechanisms

    def decider(
        self, extra_specs: Mapping[str, str]
    ) -> published.PublishedDecision:
        """Return what decides about hosts for these extra specs."""
        return published.PublishedDecision(
            requirements.parse(extra_specs, self.mechanisms.vocabulary),
            self.freshness,
            self.mechanisms,
            enforces=self.mode != 'audit',
        )


@dataclasses.dataclass(frozen=True)
class Moment:
    """The time of a decision, and what third parties have stated by then.

    :ivar now: seconds since the epoch, by the clock of this host
    :ivar confirmed: the same by the clock that ages the statements
    :ivar statements: what third parties state about a host
    """

    now: float
    confirmed: float | None = None
    statements: Statements = lambda host, node: evidence.NO_EVIDENCE

    def decide(
        self,
        decider: published.PublishedDecision,
        node: picture.ComputeNode,
    ) -> decision.Decision:
        """Decide about one host."""
        return decider.decide(
            node.stats,
            self.now,
            self.statements(node.host, node.uuid)
            if decider.needs_statements
            else evidence.NO_EVIDENCE,
            self.confirmed,
        )


@dataclasses.dataclass(frozen=True)
class Answer:
    """The answer for one host.

    :ivar node: the compute node that the answer is about
    :ivar decision: whether isolation accepts the host
    """

    node: picture.ComputeNode
    decision: decision.Decision

    @property
    def usable(self) -> bool:
        """Whether the host can run the guest now: isolation accepts it, and
        Nova itself would use it.
        """
        return self.decision.accepted and not self.node.state


@dataclasses.dataclass(frozen=True)
class Explanation:
    """The answers for all hosts.

    :ivar flavor: name or ID of the flavor, as it was asked for; None for
        extra specs of no flavor
    :ivar mode: the ``[isolation] mode`` of the service that decides
    :ivar extra_specs: the extra specs of isolation
    :ivar answers: one for each compute node, sorted by host; empty for an
        untagged flavor, which isolation refuses nowhere
    :ivar near_misses: keys of the flavor that are no extra specs of isolation
        -> the extra spec that may be meant
    """

    flavor: str | None
    mode: str
    extra_specs: Mapping[str, str]
    answers: tuple[Answer, ...]
    near_misses: Mapping[str, str]

    @property
    def usable(self) -> bool:
        """Whether some host can run the guest now, as far as is known."""
        return not self.extra_specs or any(a.usable for a in self.answers)

    @functools.cached_property
    def counts(self) -> dict[str, object]:
        """How many hosts there are of each kind, as JSON values.

        ``by_code`` has how many hosts are refused for each reason code. A
        host that is refused for several reasons counts for each of them.
        """
        codes: collections.Counter[str] = collections.Counter()
        for answer in self.answers:
            codes.update(answer.decision.codes)
        accepted = sum(a.decision.accepted for a in self.answers)
        return {
            'hosts': len(self.answers),
            'accepted': accepted,
            'usable': sum(a.usable for a in self.answers),
            'refused': len(self.answers) - accepted,
            'by_code': dict(sorted(codes.items())),
        }


def ours(extra_specs: Mapping[str, str]) -> dict[str, str]:
    """Return the extra specs of isolation among those of a flavor."""
    return {
        key: extra_specs[key]
        for key in sorted(extra_specs)
        if requirements.is_tagged({key: extra_specs[key]})
    }


def near_misses(
    extra_specs: Mapping[str, str], mechanisms: registry.Mechanisms
) -> dict[str, str]:
    """Return the keys that may be meant for isolation, and are not.

    :returns: key -> the extra spec that may be meant
    """
    return {
        key: meant
        for key in sorted(extra_specs)
        if (meant := mechanisms.vocabulary.meant(key)) is not None
    }


def explain(
    flavor: str | None,
    extra_specs: Mapping[str, str],
    nodes: Iterable[picture.ComputeNode],
    rules: Rules,
    moment: Moment,
    decider: published.PublishedDecision | None = None,
) -> Explanation:
    """Decide about all hosts.

    :param flavor: name or ID of the flavor; None for extra specs of none
    :param extra_specs: all extra specs of the flavor
    :param nodes: the compute nodes; not asked where nothing is tagged
    :param rules: the rules of this service
    :param moment: the time of the decision
    :param decider: what ``rules.decider`` has returned for these extra specs
        earlier, so that alike hosts are not decided about again
    """
    tagged = ours(extra_specs)
    if tagged and decider is None:
        decider = rules.decider(extra_specs)
    return Explanation(
        flavor,
        rules.mode,
        tagged,
        tuple(Answer(node, moment.decide(decider, node)) for node in nodes)
        if tagged and decider is not None
        else (),
        near_misses(extra_specs, rules.mechanisms),
    )


def as_json(
    explanation: Explanation,
    known: Mapping[str, reasons.Reason],
    answers: Iterable[Answer] | None = None,
) -> dict[str, object]:
    """Return an explanation as JSON values.

    :param explanation: the explanation
    :param known: code -> reason, of the loaded mechanisms
    :param answers: those of the explanation's answers that are shown; by
        default all of them. The counts are always of all.
    """
    if answers is None:
        answers = explanation.answers
    return {
        'flavor': explanation.flavor,
        'mode': explanation.mode,
        'extra_specs': dict(explanation.extra_specs),
        'near_misses': dict(explanation.near_misses),
        'usable': explanation.usable,
        'counts': explanation.counts,
        'hosts': [_json_of_host(answer, known) for answer in answers],
    }


def _json_of_host(
    answer: Answer, known: Mapping[str, reasons.Reason]
) -> dict[str, object]:
    return {
        'host': answer.node.host,
        'accepted': answer.decision.accepted,
        'state': answer.node.state,
        'usable': answer.usable,
        'unmet': [json_of_unmet(u, known) for u in answer.decision.unmet],
    }


def json_of_unmet(
    unmet: reasons.Unmet, known: Mapping[str, reasons.Reason]
) -> dict[str, str]:
    """Return an unmet requirement as JSON values, with its remedy.

    :param known: code -> reason, of the loaded mechanisms
    """
    return {
        'code': unmet.code,
        'key': unmet.key,
        'wanted': unmet.wanted,
        'found': unmet.found,
        'remedy': known[unmet.code].remedy if unmet.code in known else '',
    }
