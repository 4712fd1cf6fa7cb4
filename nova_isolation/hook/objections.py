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

"""The full check of the libvirt hook: why must this domain not start?

The code that decides on what the driver has written decides here as well. It
never calls libvirt, which waits for the hook and would not answer, and imports
no Nova, which would take seconds.
"""

import typing

# Not lxml, which takes longer to import than the whole check.
from xml.etree import ElementTree  # nosec B405

from nova_isolation.decision import domain_definition
from nova_isolation.host import domain_metadata
from nova_isolation.mechanisms import registry
from nova_isolation.model import requirements


def of(xml: str) -> list[str]:
    """List why a domain must not start, one reason a line.

    :param xml: the domain's XML
    :returns: empty where the domain may start
    :raises ValueError: the text cannot be read as the XML of a domain
    """
    if '<!DOCTYPE' in xml:
        # libvirt neither replaces the entities of a document type nor writes
        # one itself.
        raise ValueError('the XML has a document type')
    try:
        domain: typing.Any = ElementTree.fromstring(xml)  # noqa: S314  # nosec B314
    except ElementTree.ParseError as error:
        raise ValueError(str(error)) from None
    _, extra_specs = domain_metadata.of(domain)
    if not requirements.is_tagged(extra_specs):
        return []
    mechanisms = registry.owning(extra_specs)
    unmet = domain_definition.decide(
        requirements.parse(extra_specs, mechanisms.vocabulary),
        domain,
        mechanisms,
    ).unmet
    lines = []
    for item in unmet:
        lines.append(f'- {item}')
        reason = mechanisms.reasons.get(item.code)
        if reason is not None:
            lines.append(f'  {reason.remedy}')
    return lines
