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

"""What libvirt says of a started guest, whatever runs it."""

import functools
import typing

from nova_isolation.mechanisms import sources


class LibvirtGuest(sources.Guest):
    """Answers from libvirt's domain; see the base class for each method."""

    def __init__(self, domain: typing.Any) -> None:
        """:param domain: libvirt's domain, through Nova's connection proxy"""
        self._domain = domain

    @functools.cached_property
    def uuid(self) -> str:
        """See the base class."""
        return str(self._domain.UUIDString())

    @functools.cached_property
    def name(self) -> str:
        """See the base class."""
        return str(self._domain.name())

    def domain_id(self) -> int:
        """See the base class."""
        return int(self._domain.ID())

    def domain_xml(self) -> str:
        """See the base class."""
        return str(self._domain.XMLDesc(0))
