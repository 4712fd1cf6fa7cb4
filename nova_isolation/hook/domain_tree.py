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

"""The XML of a domain as a tree, for a program that runs for milliseconds.

The module xml.etree takes as long to import as Python takes to start. Here is
what the check of a domain needs of its elements, over the same parser.
"""

from __future__ import annotations

from xml.parsers import expat  # nosec B406

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class Element:
    """An element, with the methods and attributes that xml.etree has.

    :ivar tag: the name, ``{namespace}name`` where it has a namespace
    :ivar text: the text before the first child; None where there is none
    """

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        """See xml.etree."""
        self.tag = tag
        self.text: str | None = None
        self._attributes = attributes
        self._children: list[Element] = []

    def __iter__(self) -> Iterator[Element]:
        return iter(self._children)

    def append(self, child: Element) -> None:
        """Add a child after the others."""
        self._children.append(child)

    def add_text(self, text: str) -> None:
        """Add text where the parser is now."""
        if not self._children:
            self.text = (self.text or '') + text

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the value of an attribute."""
        return self._attributes.get(name, default)

    def findtext(self, tag: str) -> str | None:
        """Return the text of the first child of that name, or None."""
        for child in self:
            if child.tag == tag:
                return child.text or ''
        return None


def parse(xml: str) -> Element:
    """Parse the XML of a domain.

    :raises xml.parsers.expat.ExpatError: the text is no XML
    """
    root = Element('', {})
    open_ = [root]

    def start(tag: str, attributes: dict[str, str]) -> None:
        named = {_name(name): text for name, text in attributes.items()}
        element = Element(_name(tag), named)
        open_[-1].append(element)
        open_.append(element)

    def end(tag: str) -> None:
        open_.pop()

    # The separator makes names of the form "namespace}name".
    parser = expat.ParserCreate(namespace_separator='}')
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = lambda text: open_[-1].add_text(text)
    parser.Parse(xml, True)
    (domain,) = root
    return domain


def _name(name: str) -> str:
    return '{' + name if '}' in name else name
