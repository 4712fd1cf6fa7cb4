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

"""Nova's Guest and Host of Xen, with the guard."""

import typing

from nova_isolation.virt import signatures
from nova_isolation.virt.guard import domain_xml
from nova_isolation.virt.roads import choke_points
from nova_isolation.virt.xen import domain
from nova_isolation.virt.xen import guest
from nova_isolation.virt.xen import host


class GuardedXenGuest(choke_points.GuardedGuest, guest.XenGuest):
    """A guest of Xen that never runs before it was verified."""


class GuardedXenHost(choke_points.GuardedHost, host.XenHost):
    """A Host of Xen whose guests are guarded."""

    _guarded_guest = GuardedXenGuest

    @signatures.override
    def write_instance_config(self, xml: typing.Any) -> typing.Any:
        """See the base class. libvirt does not reboot a tagged guest."""
        text = xml.decode() if isinstance(xml, bytes) else xml
        definition = domain_xml.DomainXml(text)
        request = self._guard.requests.of_xml(definition)
        if request.wanted and self._guard.enforces:
            domain.keep_at_reboot(definition.element)
            text = domain.text(definition.element)
        return super().write_instance_config(text)
