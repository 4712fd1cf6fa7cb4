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

"""What is wrong with the ``<seclabel>`` in a domain's XML, in words."""

from collections.abc import Iterator
import typing

from nova_isolation.mechanisms.svirt import definition
from nova_isolation.mechanisms.svirt import reason_codes
from nova_isolation.model import reasons
from nova_isolation.model import requirements

if typing.TYPE_CHECKING:
    # The libvirt hook passes elements of xml.etree; an import of lxml would
    # take longer than the hook's whole decision.
    from lxml import etree


def check(
    domain: 'etree._Element',
    requirement: requirements.Requirement,
    type_: requirements.Requirement | None,
) -> Iterator[reasons.Unmet]:
    """Return what is wrong with the ``<seclabel>`` of a domain.

    :func:`nova_isolation.mechanisms.svirt.definition.fits` decides.

    :param domain: the ``<domain>`` element
    :param requirement: the requirement that asks for a security model
    :param type_: the requirement that asks for an SELinux type, if any
    """
    wanted = [requirement] if type_ is None else [requirement, type_]
    if definition.fits(domain, {one.key: one.values for one in wanted}):
        return
    models = definition.models(requirement.values)
    label = 'a dynamic seclabel of model ' + ' or '.join(models)
    dynamic = [s for m in models for s in definition.dynamic(domain, m)]
    if not dynamic:
        yield requirement.unmet(
            reason_codes.DEFINITION,
            ', '.join(map(_text, domain.iterfind('seclabel')))
            or 'no seclabel',
            label,
        )
        return
    base = definition.base(None if type_ is None else type_.values)
    yield (type_ or requirement).unmet(
        reason_codes.DEFINITION,
        ', '.join(map(_text, dynamic)),
        f'{label}, {f"baselabel {base}" if base else "no baselabel"}, a '
        'label that no other guest has',
    )


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
