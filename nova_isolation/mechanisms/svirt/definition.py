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

"""What the XML of a guest must have: the ``<seclabel>`` that confines it.

The element is described in
https://libvirt.org/formatdomain.html#security-label. libvirt 9.0 reads and
completes the element in src/conf/domain_conf.c and
src/security/security_manager.c.

The libvirt hook reads this module, so it imports nothing that takes long:
the module that takes labels apart only where there is a label.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from lxml import etree

#: The models that ``any`` means. libvirt's third driver, dac, is plain Unix
#: ownership, which no flavor needs to require.
MODELS = ('selinux', 'apparmor')

MODEL = 'isolation:svirt'
TYPE = 'isolation:svirt_type'


def models(values: 'Sequence[str]') -> 'tuple[str, ...]':
    """Return the models that meet a requirement.

    :param values: the words of ``isolation:svirt``
    """
    return MODELS if tuple(values) == ('any',) else tuple(values)


def fits(
    domain: 'etree._Element', words: 'Mapping[str, Sequence[str]]'
) -> bool:
    """Return whether the XML of a guest confines it.

    Only a dynamic label is accepted. A static label can confine as well, but
    sooner or later another guest has the same categories, on this host or
    after a migration. The type ``none`` confines nothing.

    :param domain: the ``<domain>`` element. It contains a ``<label>`` only
        after libvirt has made the label; such a label is checked as well.
    :param words: key -> words, of the flavor's valid extra specs
    """
    if MODEL not in words:
        return True
    uuid = domain.findtext('uuid') or ''
    type_ = words.get(TYPE)
    return any(
        _fits(seclabel, uuid, type_)
        for model in models(words[MODEL])
        for seclabel in dynamic(domain, model)
    )


def dynamic(domain: 'etree._Element', model: str) -> 'list[etree._Element]':
    """Return the label of a model, if there is exactly one dynamic label.

    A missing attribute has libvirt's default: dynamic, relabelled.
    """
    found = [
        one
        for one in domain
        if one.tag == 'seclabel' and one.get('model') == model
    ]
    if len(found) == 1 and (
        found[0].get('type', 'dynamic') == 'dynamic'
        and found[0].get('relabel', 'yes') == 'yes'
    ):
        return found
    return []


def base(type_: 'Sequence[str] | None') -> str | None:
    """Return the only base label that a guest may have.

    :param type_: the words of ``isolation:svirt_type``; None where the flavor
        does not have it
    :returns: None where no base label is allowed
    """
    if type_ is None:
        return None
    from nova_isolation.mechanisms.svirt import security_label

    return security_label.base(','.join(type_))


def _fits(
    seclabel: 'etree._Element', uuid: str, type_: 'Sequence[str] | None'
) -> bool:
    """Return whether a dynamic label meets the requirement on its type."""
    if seclabel.findtext('baselabel') != base(type_):
        return False
    label = seclabel.findtext('label')
    if label is None:
        return True
    from nova_isolation.mechanisms.svirt import security_label

    if seclabel.get('model') == 'apparmor':
        return label == security_label.profile(uuid)
    try:
        return security_label.is_confined(security_label.parse(label), type_)
    except ValueError:
        return False
