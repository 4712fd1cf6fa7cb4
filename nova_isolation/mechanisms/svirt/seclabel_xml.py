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

"""The ``<seclabel>`` of a domain's XML: does it confine as is asked?

https://libvirt.org/formatdomain.html#security-label; how libvirt 9.0 reads
and completes it: src/conf/domain_conf.c, src/security/security_manager.c.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import typing

from nova_isolation.mechanisms.svirt import reason_codes
from nova_isolation.mechanisms.svirt import security_label
from nova_isolation.model import reasons
from nova_isolation.model import requirements

if typing.TYPE_CHECKING:
    # The libvirt hook has another kind, and no time for this one.
    from lxml import etree


def judge(
    domain: 'etree._Element',
    models: Sequence[str],
    requirement: requirements.Requirement,
    type_: requirements.Requirement | None,
) -> Iterator[reasons.Unmet]:
    """What is wrong with the ``<seclabel>`` of a domain.

    Only a dynamic label will do. A static one can confine as well, but its
    categories are those of another guest sooner or later, on this host or
    after a migration; ``none`` confines nothing.

    :param domain: the ``<domain>`` element. Before libvirt has made the label
        there is no ``<label>`` in it; where there is one, it must fit too.
    :param models: the security models of which one is enough
    :param requirement: the one that asks for them
    :param type_: the one that asks for an SELinux type, if any
    """
    label = 'a dynamic seclabel of model ' + ' or '.join(models)
    dynamic = [s for m in models for s in _dynamic(domain, m)]
    if not dynamic:
        yield requirement.unmet(
            reason_codes.DEFINITION,
            ', '.join(map(_text, domain.iterfind('seclabel')))
            or 'no seclabel',
            label,
        )
        return
    uuid = domain.findtext('uuid') or ''
    base = None if type_ is None else security_label.base(type_.value)
    if any(_fits(seclabel, uuid, type_, base) for seclabel in dynamic):
        return
    yield (type_ or requirement).unmet(
        reason_codes.DEFINITION,
        ', '.join(map(_text, dynamic)),
        f'{label}, {f"baselabel {base}" if base else "no baselabel"}, a '
        'label of its own',
    )


def _dynamic(domain: 'etree._Element', model: str) -> 'list[etree._Element]':
    """The label of a model, if there is exactly one and it is dynamic.

    What is left out is libvirt's default: dynamic, relabelled.
    """
    found = domain.findall(f'seclabel[@model="{model}"]')
    if len(found) == 1 and (
        found[0].get('type', 'dynamic') == 'dynamic'
        and found[0].get('relabel', 'yes') == 'yes'
    ):
        return found
    return []


def _fits(
    seclabel: 'etree._Element',
    uuid: str,
    type_: requirements.Requirement | None,
    base: str | None,
) -> bool:
    """Whether a dynamic label is made of what is asked."""
    if seclabel.findtext('baselabel') != base:
        return False
    label = seclabel.findtext('label')
    if label is None:
        return True
    if seclabel.get('model') == 'apparmor':
        return label == security_label.profile(uuid)
    try:
        return security_label.is_confined(
            security_label.parse(label),
            None if type_ is None else type_.values,
        )
    except ValueError:
        return False


def _text(seclabel: 'etree._Element') -> str:
    """A label in one line, for a message."""
    # Not items(): of lxml's elements, str or bytes to a type checker.
    names = map(str, seclabel.keys())
    own = ''.join(f' {name}="{seclabel.get(name)}"' for name in names)
    inner = ''.join(
        f'<{one.tag!s}>{(one.text or "").strip()}</{one.tag!s}>'
        for one in seclabel
    )
    end = f'>{inner}</seclabel>' if inner else '/>'
    return ' '.join(f'<seclabel{own}{end}'.split())
