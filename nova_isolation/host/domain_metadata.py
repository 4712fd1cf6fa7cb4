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

"""The flavor's extra specs that Nova writes into the XML of a domain.

The libvirt hook reads this module, so it imports nothing that takes long.
"""

from nova_isolation.model import vocabulary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lxml import etree

#: The same as nova.virt.libvirt.config.NOVA_NS. The namespace is part of the
#: XML that libvirt stores.
NAMESPACE = 'http://openstack.org/xmlns/libvirt/nova/1.1'

#: Where the extra specs are, below ``<domain>``.
_PATH = (
    'metadata',
    *(
        f'{{{NAMESPACE}}}{name}'
        for name in ('instance', 'flavor', 'extraSpecs', 'extraSpec')
    ),
)


def may_be_tagged(xml: str) -> bool:
    """Return whether the flavor in the XML has an extra spec of ours.

    Nothing else in the XML counts, such as the name of a server or of a
    project, which tenants choose. Where nothing in the text looks like an
    extra spec, the XML is not parsed.

    :returns: True also for a text that is not XML
    """
    # The libvirt hook reads the XML in another way.
    from nova_isolation.model import requirements
    from nova_isolation.probes import libvirt_xml

    hints = ('extraSpec', vocabulary.NAMESPACE, '<!DOCTYPE')
    if not any(hint in xml for hint in hints):
        return False
    try:
        _, extra_specs = of(libvirt_xml.parse(xml))
    except ValueError:
        return True
    return requirements.is_tagged(extra_specs)


def of(domain: 'etree._Element') -> tuple[str, dict[str, str]]:
    """The UUID of a domain and the extra specs in its metadata.

    :param domain: the ``<domain>`` element
    :returns: the UUID, '' where there is none; the extra specs, empty where
        Nova wrote none
    """
    found = [domain]
    for tag in _PATH:
        found = [child for one in found for child in one if child.tag == tag]
    return (
        domain.findtext('uuid') or '',
        {spec.get('name', ''): spec.text or '' for spec in found},
    )
