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

"""The decision on a domain's XML: does the XML confine as the flavor asks?

This decision is weaker than
:func:`nova_isolation.decision.host_facts.decide`, which knows the facts of the
host. It only finds out whether the XML contains the elements that confine the
guest. The libvirt hook uses it, because the hook has nothing but the XML, and
somebody other than Nova may have written the XML. The decision does no I/O
and imports neither Nova nor libvirt.
"""

from collections.abc import Iterator
import typing

from nova_isolation.decision import answers
from nova_isolation.decision import decision
from nova_isolation.mechanisms import registry
from nova_isolation.model import reasons
from nova_isolation.model import requirements
from nova_isolation.model import self_reboot

if typing.TYPE_CHECKING:
    # The libvirt hook passes elements of xml.etree; an import of lxml would
    # take longer than the hook's whole decision.
    from lxml import etree


def decide(
    wanted: requirements.Requirements,
    domain: 'etree._Element',
    mechanisms: registry.Mechanisms,
) -> decision.Decision:
    """Decide whether the XML of a guest confines it as its flavor asks.

    :param wanted: the requirements of the flavor
    :param domain: the ``<domain>`` element
    :param mechanisms: the mechanisms of this process
    :returns: accepted, or all requirements that are unmet. The guest of an
        untagged flavor is accepted whatever its XML contains.
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
    for name in self_reboot.restarting(domain):
        right = (
            self_reboot.KEEP
            if name == self_reboot.ELEMENT
            else self_reboot.DESTROY
        )
        found = (domain.findtext(name) or '').strip()
        yield reasons.Unmet(
            reasons.SELF_REBOOT.code,
            '',
            f'<{name}>{right}',
            f'<{name}>{found}' if found else f'no {name}',
        )
    for name in sorted({item.mechanism for item in wanted.items}):
        yield from answers.answers(
            wanted.of(name),
            mechanisms,
            lambda mechanism: mechanism.judge_definition(domain, wanted),
        )
