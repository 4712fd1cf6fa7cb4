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

"""Nova's instances and images for tests of the Xen driver."""

from nova import objects

objects.register_all()


def image(**properties):
    """An image."""
    return objects.ImageMeta.from_dict(
        {
            'id': '00000000-0000-4000-8000-00000000000a',
            'disk_format': properties.pop('disk_format', 'raw'),
            'properties': properties,
        }
    )


def instance(vm_mode=None, kernel_id='', extra_specs=None, topology=None):
    """An instance."""
    return objects.Instance(
        uuid='00000000-0000-4000-8000-000000000001',
        vm_mode=vm_mode,
        kernel_id=kernel_id,
        numa_topology=topology,
        pci_requests=None,
        flavor=objects.Flavor(
            name='a-flavor',
            vcpus=1,
            memory_mb=64,
            extra_specs=extra_specs or {},
        ),
    )
