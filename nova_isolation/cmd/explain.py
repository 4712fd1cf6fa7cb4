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

"""Show for each compute host whether it can run guests of a flavor, and why
not. The decision is that of the scheduler, on the facts that Nova's databases
hold now.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import json
import time
import typing

import nova.conf

from nova_isolation import opts
from nova_isolation.attestation import service
from nova_isolation.cmd import compute_nodes
from nova_isolation.decision import decision
from nova_isolation.decision import published
from nova_isolation.mechanisms import registry
from nova_isolation.model import printable
from nova_isolation.model import reasons
from nova_isolation.model import requirements

CONF = nova.conf.CONF

#: The longest line that is printed, in characters.
_MAX_LINE = 4000


@dataclasses.dataclass(frozen=True)
class Answer:
    """The answer for one host.

    :ivar node: the compute node that the answer is about
    :ivar decision: whether isolation accepts the host
    """

    node: compute_nodes.ComputeNode
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

    :ivar flavor: name or ID of the flavor, as it was asked for
    :ivar mode: the ``[isolation] mode`` of the service that decides
    :ivar extra_specs: the flavor's extra specs of isolation
    :ivar answers: one for each compute node, sorted by host; empty for an
        untagged flavor, which isolation refuses nowhere
    :ivar near_misses: keys of the flavor that are no extra specs of isolation
        -> the extra spec that may be meant
    """

    flavor: str
    mode: str
    extra_specs: Mapping[str, str]
    answers: tuple[Answer, ...]
    near_misses: Mapping[str, str]

    @property
    def usable(self) -> bool:
        """Whether some host can run the guest now, as far as is known."""
        return not self.extra_specs or any(a.usable for a in self.answers)


def add(subparsers: typing.Any) -> None:
    """Add the command to those of ``nova-isolation-manage``.

    :param subparsers: as ``argparse`` makes them
    """
    parser = subparsers.add_parser(
        'explain',
        help='show for each host whether it can run guests of a flavor',
        description=__doc__,
    )
    parser.add_argument('flavor', help='name or ID of the flavor')
    parser.add_argument(
        '--json', action='store_true', help='print one JSON document'
    )
    parser.set_defaults(run=lambda given: run(given.flavor, given.json))


def run(flavor: str, as_json: bool = False) -> int:
    """Print the answers.

    :param flavor: name or ID of the flavor
    :param as_json: print one JSON document instead of text
    :returns: 0 if some host can run the guest, else 1
    :raises nova_isolation.cmd.error.CommandError: there is no such flavor
    """
    mechanisms = registry.get()
    explanation = explain(flavor, mechanisms)
    lines = (_json if as_json else _text)(explanation, mechanisms.reasons)
    for line in lines:
        # The name and state of a host are its own words, too. JSON escapes
        # them by itself, except for DEL.
        print(
            line.replace('\x7f', '\\u007f')
            if as_json
            else printable.one_line(line, _MAX_LINE)
        )
    return 0 if explanation.usable else 1


def explain(flavor: str, mechanisms: registry.Mechanisms) -> Explanation:
    """Decide about all hosts.

    :param flavor: name or ID of the flavor
    :param mechanisms: the mechanisms of this process
    :raises nova_isolation.cmd.error.CommandError: there is no such flavor
    """
    extra_specs = compute_nodes.extra_specs(flavor)
    wanted = requirements.parse(extra_specs, mechanisms.vocabulary)
    return Explanation(
        flavor,
        CONF.isolation.mode,
        {
            key: extra_specs[key]
            for key in sorted(extra_specs)
            if requirements.is_tagged({key: extra_specs[key]})
        },
        tuple(_answers(wanted, mechanisms)) if wanted else (),
        {
            key: meant
            for key in sorted(extra_specs)
            if (meant := mechanisms.vocabulary.near_miss(key)) is not None
        },
    )


def _answers(
    wanted: requirements.Requirements, mechanisms: registry.Mechanisms
) -> Iterator[Answer]:
    decider = published.PublishedDecision(
        wanted,
        opts.freshness(CONF.isolation),
        mechanisms,
        enforces=CONF.isolation.mode != 'audit',
    )
    attestation = service.make(CONF)
    if decider.needs_statements:
        attestation.start()
        attestation.wait(CONF.isolation_attestation.timeout)
        attestation.stop()
    nodes = compute_nodes.compute_nodes()
    now = time.time()
    confirmed = attestation.clock(now)
    for node in nodes:
        yield Answer(
            node,
            decider.decide(
                node.stats,
                now,
                attestation.statements(node.host, node.uuid),
                confirmed,
            ),
        )


def _text(
    explanation: Explanation, known: Mapping[str, reasons.Reason]
) -> Iterator[str]:
    flavor = explanation.flavor
    if not explanation.extra_specs:
        yield f'Flavor {flavor} has no isolation: extra specs.'
        for key, meant in explanation.near_misses.items():
            yield (
                f'  {key} is no extra spec of nova-isolation and is not '
                f'enforced. Is {meant} meant?'
            )
        return
    yield f'Flavor {flavor} asks for:'
    for key, value in explanation.extra_specs.items():
        yield f'  {key}={value}'
    if explanation.mode == 'audit':
        yield (
            'The mode is audit: the scheduler records the refusals below and '
            'uses the hosts all the same.'
        )
    for answer in explanation.answers:
        yield from _text_of_host(answer, known)
    if not explanation.answers:
        yield 'Nova knows no compute host.'
    if not explanation.usable:
        yield f'No host can run flavor {flavor} now.'


def _text_of_host(
    answer: Answer, known: Mapping[str, reasons.Reason]
) -> Iterator[str]:
    accepted = answer.decision.accepted
    note = ''
    if answer.node.state:
        joint = 'but' if accepted else 'and'
        note = f', {joint} the host {answer.node.state}'
    yield f'{answer.node.host}: {"accepted" if accepted else "refused"}{note}'
    for unmet in answer.decision.unmet:
        yield f'  - {unmet}'
        reason = known.get(unmet.code)
        if reason is not None:
            yield f'    {reason.remedy}'


def _json(
    explanation: Explanation, known: Mapping[str, reasons.Reason]
) -> Iterable[str]:
    return (
        json.dumps(
            {
                'flavor': explanation.flavor,
                'mode': explanation.mode,
                'extra_specs': dict(explanation.extra_specs),
                **(
                    {'near_misses': dict(explanation.near_misses)}
                    if explanation.near_misses
                    else {}
                ),
                'usable': explanation.usable,
                'hosts': [
                    _json_of_host(answer, known)
                    for answer in explanation.answers
                ],
            },
            indent=2,
        ),
    )


def _json_of_host(
    answer: Answer, known: Mapping[str, reasons.Reason]
) -> dict[str, object]:
    return {
        'host': answer.node.host,
        'accepted': answer.decision.accepted,
        'state': answer.node.state,
        'usable': answer.usable,
        'unmet': [
            {
                **dataclasses.asdict(unmet),
                'remedy': known[unmet.code].remedy
                if unmet.code in known
                else '',
            }
            for unmet in answer.decision.unmet
        ],
    }
