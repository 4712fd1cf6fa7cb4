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

"""The shortcut of the check: does this domain plainly fit its flavor?

It asks the same functions that decide elsewhere, and asks them for a yes
alone. Whatever is no plain yes is left to the full check, which also knows
mechanisms of other packages and has the words of a refusal. Unit tests compare
the two on generated domains.

This module and what it imports must not import typing, dataclasses, logging
and the like: each of them takes as long as Python takes to start.
"""

from __future__ import annotations

import importlib

from nova_isolation.hook import domain_tree
from nova_isolation.host import domain_metadata
from nova_isolation.mechanisms import built_in
from nova_isolation.model import self_reboot
from nova_isolation.model import vocabulary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def fits(xml: str) -> bool:
    """Return whether a domain plainly has what its flavor asks for.

    :param xml: the domain's XML
    :returns: True where the full check has no objection; False where it may
        have one
    :raises Exception: the XML cannot be read, a value is not allowed, or a
        mechanism does not load; the full check has the words
    """
    if '<!DOCTYPE' in xml:
        return False
    domain: Any = domain_tree.parse(xml)
    _, extra_specs = domain_metadata.of(domain)
    ours = {
        key: value
        for key, value in extra_specs.items()
        if vocabulary.is_ours(key)
    }
    if not ours:
        return True
    if any(map(vocabulary.without_colon, extra_specs)):
        return False
    if self_reboot.restarts(domain):
        return False
    rows: dict[str, vocabulary.ExtraSpec] = {}
    asking = set()
    for key in ours:
        owner = _owner(key)
        if not owner:
            # A mechanism of another package may own the key.
            return False
        found = _import(owner, 'extra_specs')
        rows.update({row.key: row for row in found.ROWS})
        # A mechanism that does not say so asks something of the XML.
        if getattr(found, 'ANY_XML', False) is not True:
            asking.add(owner)
    words = {key: rows[key].parse(value) for key, value in ours.items()}
    if any(
        rows[key].missing(words) or rows[key].clashing(words) for key in words
    ):
        return False
    return all(
        _import(owner, 'definition').fits(domain, words) is True
        for owner in asking
    )


def _owner(key: str) -> str:
    """Return the mechanism of this tree after which a key is named, or ''.

    It is found by its package. A list of all packages would need the module
    os, whose import takes as long as the rest of this.
    """
    name = key.removeprefix(vocabulary.NAMESPACE)
    while name.isidentifier() and name != key:
        try:
            _import(name, 'extra_specs')
        except ModuleNotFoundError:
            name, _, _ = name.rpartition('_')
        else:
            return name
    return ''


def _import(mechanism: str, part: str) -> Any:
    return importlib.import_module(built_in.module(mechanism, part))
