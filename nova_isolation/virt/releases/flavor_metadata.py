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
"""Nova 31: the metadata of a domain has no extra specs of its flavor.

Nova 32 and newer write ``<nova:extraSpecs>``. The libvirt hook, the search
for guests that were left unverified, and all else that reads what is asked
from the XML of a domain would take a tagged guest for an untagged one. So the
driver writes the element itself, as Nova 32 does. Source:
nova/virt/libvirt/config.py of nova 31.3.1 and 32.2.1,
``LibvirtConfigGuestMetaNovaFlavor``.
"""

from collections.abc import Mapping
import typing

from nova.virt.libvirt import config
from nova.virt.libvirt import driver as libvirt_driver

from nova_isolation.virt import signatures


class _Flavor(config.LibvirtConfigGuestMetaNovaFlavor):
    """A flavor with extra specs, which is otherwise as Nova made it."""

    def __init__(
        self, plain: typing.Any, extra_specs: Mapping[str, str]
    ) -> None:
        super().__init__()
        self.__dict__.update(vars(plain))
        self._extra_specs = extra_specs

    def format_dom(self) -> typing.Any:
        """See Nova's class."""
        flavor = super().format_dom()
        parent = self._new_node('extraSpecs')
        for name, value in self._extra_specs.items():
            child = self._text_node('extraSpec', value)
            child.set('name', name)
            parent.append(child)
        flavor.append(parent)
        return flavor


class DescribingBefore32(libvirt_driver.LibvirtDriver):
    """Nova 31."""

    @signatures.override
    def _get_guest_config_meta(self, dmeta: typing.Any) -> typing.Any:
        meta = super()._get_guest_config_meta(dmeta)
        meta.flavor = _Flavor(meta.flavor, dmeta.flavor.extra_specs or {})
        return meta


if typing.TYPE_CHECKING:
    DescribingDriver = DescribingBefore32
elif hasattr(config, 'LibvirtConfigGuestMetaNovaFlavorExtraSpecs'):
    # Nova does it itself.
    DescribingDriver = libvirt_driver.LibvirtDriver
else:
    DescribingDriver = DescribingBefore32
