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

"""The XML of a domain that Nova is about to define."""

import functools
import typing

from nova_isolation.probes import libvirt_xml

if typing.TYPE_CHECKING:
    from lxml import etree


class DomainXml:
    """The XML of a domain, parsed when that is needed first, and only once.

    The domain of an untagged guest is never parsed.

    :ivar text: the XML as Nova wrote it
    """

    def __init__(self, text: str) -> None:
        """:param text: the XML"""
        self.text = text

    @functools.cached_property
    def element(self) -> 'etree._Element':
        """The ``<domain>`` element.

        Always the same object: a change to it is seen by all callers.

        :raises ValueError: the text is not XML
        """
        return libvirt_xml.parse(self.text)
