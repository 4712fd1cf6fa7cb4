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

"""The check of the ``<seclabel>`` in a domain's XML.

The element is described in
https://libvirt.org/formatdomain.html#security-label. libvirt 9.0 reads and
completes the element in src/conf/domain_conf.c and
src/security/security_manager.c.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import typing

from nova_isolation.mechanisms.svirt import reason_codes
from nova_isolation.mechanisms.svirt import security_label
from nova_isolation.model import reasons
from nova_isolation.model import requirements

if typing.TYPE_CHECKING:
    # The libvirt hook passes elements of xml.etree; an import of lxml would
    # take longer than the hook's whole decision.
    from lxml import etree


def check(
    domain: 'etree._Element',
    models: Sequence[str],
    requirement: requirements.Requirement,
    type_: requirements.Requirement | None,
) -> Iterator[reasons.Unmet]:
    """Return what is wrong with the ``<seclabel>`` of a domain.

    Only a dynamic label is accepted. A static label can confine as well, but
    sooner or later another guest has the same categories, on this host or
    after a migration. The type ``none`` confines nothing.

    :param domain: the ``<domain>`` element. It contains a ``<label>`` only
        after libvirt has made the label; such a label is checked as well.
    :param models: the accepted security models
    :param requirement: the requirement that asks for one of the models
    :param type_: the requirement that asks for an SELinux type, if any
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
        'label that no other guest has',
    )


def _dynamic(domain: 'etree._Element', model: str) -> 'list[etree._Element]':
    """Return the label of a model, if there is exactly one dynamic label.

    A missing attribute has libvirt's default: dynamic, relabelled.
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
    """Return whether a dynamic label meets the requirement on its type."""
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
    """Return a ``<seclabel>`` in one line, for a message."""
    # items() is not used, because for elements of lxml its type is str or
    # bytes.
    names = map(str, seclabel.keys())
    own = ''.join(f' {name}="{seclabel.get(name)}"' for name in names)
    inner = ''.join(
        f'<{one.tag!s}>{(one.text or "").strip()}</{one.tag!s}>'
        for one in seclabel
    )
    end = f'>{inner}</seclabel>' if inner else '/>'
    return ' '.join(f'<seclabel{own}{end}'.split())
