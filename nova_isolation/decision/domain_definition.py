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

"""The judgement of a definition: does a domain's XML fit its flavor?

It says less than :func:`nova_isolation.decision.host_facts.decide`, which
knows the
host: only whether what would confine the guest is in its XML. It is asked
where nothing else is at hand, and of what Nova may not have written. It does
no I/O, knows no Nova and no libvirt.
"""

from collections.abc import Iterator
import typing

from nova_isolation.decision import answers
from nova_isolation.decision import decision
from nova_isolation.mechanisms import registry
from nova_isolation.model import reasons
from nova_isolation.model import requirements

if typing.TYPE_CHECKING:
    # The libvirt hook has another kind, and no time for this one.
    from lxml import etree


def decide(
    wanted: requirements.Requirements,
    domain: 'etree._Element',
    mechanisms: registry.Mechanisms,
) -> decision.Decision:
    """Judge the definition of a guest.

    :param wanted: what its flavor asks for
    :param domain: the ``<domain>`` element
    :param mechanisms: the mechanisms of this process
    :returns: accepted, or all that is unmet. The guest of an untagged flavor
        is accepted whatever its XML holds.
    """
    if not wanted:
        return decision.ACCEPTED
    return decision.Decision(
        tuple(dict.fromkeys(_unmet(wanted, domain, mechanisms)))
    )


def _unmet(
    wanted: requirements.Requirements,
    domain: 'etree._Element',
    mechanisms: registry.Mechanisms,
) -> Iterator[reasons.Unmet]:
    yield from wanted.problems
    for name in sorted({item.mechanism for item in wanted.items}):
        yield from answers.answers(
            wanted.of(name),
            mechanisms,
            lambda mechanism: mechanism.judge_definition(domain, wanted),
        )
