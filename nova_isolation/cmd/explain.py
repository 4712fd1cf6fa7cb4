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
import json
import time
import typing

import nova.conf

from nova_isolation import opts
from nova_isolation.attestation import service
from nova_isolation.cloud import flavors
from nova_isolation.cloud import reader
from nova_isolation.cmd import error
from nova_isolation.mechanisms import registry
from nova_isolation.model import printable
from nova_isolation.model import reasons
from nova_isolation.report import asked
from nova_isolation.report import explanation

CONF = nova.conf.CONF

#: The longest line that is printed, in characters.
_MAX_LINE = 4000


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
    found = explain(flavor, mechanisms)
    lines = (_json if as_json else _text)(found, mechanisms.reasons)
    for line in lines:
        # The name and state of a host are its own words, too. JSON escapes
        # them by itself, except for DEL.
        print(
            line.replace('\x7f', '\\u007f')
            if as_json
            else printable.one_line(line, _MAX_LINE)
        )
    return 0 if found.usable else 1


def explain(
    flavor: str, mechanisms: registry.Mechanisms
) -> explanation.Explanation:
    """Decide about all hosts.

    :param flavor: name or ID of the flavor
    :param mechanisms: the mechanisms of this process
    :raises nova_isolation.cmd.error.CommandError: there is no such flavor
    """
    try:
        extra_specs = flavors.find(flavor).extra_specs
    except asked.NoSuchFlavor as missing:
        raise error.CommandError(str(missing)) from missing
    rules = explanation.Rules(
        CONF.isolation.mode, opts.freshness(CONF.isolation), mechanisms
    )
    if not explanation.ours(extra_specs):
        return explanation.explain(
            flavor, extra_specs, (), rules, explanation.Moment(time.time())
        )
    decider = rules.decider(extra_specs)
    attestation = service.make(CONF)
    if decider.needs_statements:
        attestation.start()
        attestation.wait(CONF.isolation_attestation.timeout)
        attestation.stop()
    nodes = reader.compute_nodes_of_all_cells()
    now = time.time()
    return explanation.explain(
        flavor,
        extra_specs,
        nodes,
        rules,
        explanation.Moment(
            now, attestation.clock(now), attestation.statements
        ),
        decider,
    )


def _text(
    found: explanation.Explanation, known: Mapping[str, reasons.Reason]
) -> Iterator[str]:
    flavor = found.flavor
    if not found.extra_specs:
        yield f'Flavor {flavor} has no isolation: extra specs.'
    else:
        yield f'Flavor {flavor} asks for:'
    for key, value in found.extra_specs.items():
        yield f'  {key}={value}'
    for key, meant in found.near_misses.items():
        yield (
            f'  {key} is no extra spec of nova-isolation and is not '
            f'enforced. Is {meant} meant?'
        )
    if not found.extra_specs:
        return
    if found.mode == 'audit':
        yield (
            'The mode is audit: the scheduler records the refusals below and '
            'uses the hosts all the same.'
        )
    for answer in found.answers:
        yield from _text_of_host(answer, known)
    if not found.answers:
        yield 'Nova knows no compute host.'
    if not found.usable:
        yield f'No host can run flavor {flavor} now.'


def _text_of_host(
    answer: explanation.Answer, known: Mapping[str, reasons.Reason]
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
    found: explanation.Explanation, known: Mapping[str, reasons.Reason]
) -> Iterable[str]:
    return (json.dumps(explanation.as_json(found, known), indent=2),)
