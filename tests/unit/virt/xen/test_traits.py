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

"""What the host is said to offer."""

from unittest import mock

from nova.virt.libvirt import driver as libvirt_driver

from nova_isolation.virt.xen import traits
from tests.unit import base

_NOVAS = {
    'COMPUTE_NET_VIRTIO_PACKED': True,
    'COMPUTE_SOUND_MODEL_ICH9': True,
    'COMPUTE_VIOMMU_MODEL_INTEL': True,
    'COMPUTE_GRAPHICS_MODEL_VGA': True,
    'COMPUTE_STORAGE_BUS_XEN': True,
    'COMPUTE_STORAGE_BUS_IDE': True,
    'COMPUTE_STORAGE_BUS_VIRTIO': False,
    'COMPUTE_NET_VIF_MODEL_NETFRONT': True,
    'HW_CPU_X86_AVX': True,
}


class Guest:
    """Guests that libvirt can run."""

    def __init__(self, arch, ostype):
        self.arch, self.ostype = arch, ostype
        self.domains = ['xen']


class Host:
    """What libvirt 9.0 says of Xen 4.17."""

    class Capabilities:
        """Its guests."""

        guests = (
            Guest('x86_64', 'xen'),
            Guest('i686', 'hvm'),
            Guest('x86_64', 'hvm'),
            Guest('x86_64', 'xenpvh'),
        )

    def get_capabilities(self):
        return self.Capabilities


class TraitsTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.driver = traits.XenTraits.__new__(traits.XenTraits)
        self.driver._host = Host()

    def test_what_libxl_has_not_is_not_offered(self):
        with mock.patch.object(
            libvirt_driver.LibvirtDriver,
            'static_traits',
            new_callable=mock.PropertyMock,
            return_value=_NOVAS,
        ):
            found = self.driver.static_traits
        self.assertEqual(set(_NOVAS), set(found))
        self.assertEqual(
            {
                'COMPUTE_STORAGE_BUS_XEN',
                'COMPUTE_NET_VIF_MODEL_NETFRONT',
                'HW_CPU_X86_AVX',
            },
            {name for name, earned in found.items() if earned},
        )

    def test_capabilities(self):
        self.driver.capabilities = {
            'supports_extend_volume': True,
            'supports_evacuate': True,
        }
        with mock.patch.object(
            libvirt_driver.LibvirtDriver, '_update_host_specific_capabilities'
        ):
            self.driver._update_host_specific_capabilities()
        self.assertTrue(self.driver.capabilities['supports_evacuate'])
        for name in traits.NOT_CAPABLE:
            self.assertIs(False, self.driver.capabilities[name])

    def test_modes_that_nova_does_not_know_are_skipped(self):
        self.assertEqual(
            [
                ('x86_64', 'xen', 'xen'),
                ('i686', 'xen', 'hvm'),
                ('x86_64', 'xen', 'hvm'),
            ],
            self.driver._get_instance_capabilities(),
        )
