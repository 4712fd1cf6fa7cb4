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

"""What no guest of Xen gets is refused."""

import ddt
from nova import exception
from nova import objects

from nova_isolation.virt.xen import unsupported
from tests.unit import base
from tests.unit.virt.xen import images

_REFUSED_PROPERTIES = {
    'hw_emulation_architecture': 'aarch64',
    'hw_firmware_type': 'uefi',
    'hw_firmware_stateless': True,
    'hw_mem_encryption': True,
    'hw_redirected_usb_ports': 1,
    'hw_scsi_model': 'virtio-scsi',
    'hw_sound_model': 'ich9',
    'hw_tpm_model': 'tpm-crb',
    'hw_tpm_version': '2.0',
    'hw_viommu_model': 'virtio',
    'hw_watchdog_action': 'reset',
    'os_secure_boot': 'required',
}
_REFUSED_SPECS = {
    'hw:firmware_stateless': 'True',
    'hw:mem_encryption': 'true',
    'hw:pmem': 'small',
    'hw:redirected_usb_ports': '2',
    'hw:sound_model': 'ich9',
    'hw:tpm_model': 'tpm-crb',
    'hw:tpm_version': '2.0',
    'hw:viommu_model': 'virtio',
    'hw:watchdog_action': 'reset',
    'os:secure_boot': 'required',
}


@ddt.ddt
class UnsupportedTest(base.TestCase):
    def refused(self, word, instance=None, **properties):
        error = self.assertRaises(
            exception.ComputeResourcesUnavailable,
            unsupported.check,
            instance or images.instance(),
            images.image(**properties),
        )
        self.assertIn(word, str(error))

    def accepted(self, instance=None, **properties):
        unsupported.check(
            instance or images.instance(), images.image(**properties)
        )

    def test_plain(self):
        self.accepted()
        self.accepted(images.instance(kernel_id='k'))
        self.accepted(hw_vm_mode='xen', hw_vif_model='netfront')
        self.accepted(hw_vm_mode='hvm', hw_vif_model='e1000')
        self.accepted(hw_disk_bus='xen')
        self.accepted(hw_qemu_guest_agent=True)

    @ddt.idata(
        name
        for name in unsupported.PROPERTIES
        if name in objects.ImageMetaProps.fields
    )
    def test_property(self, name):
        value = _REFUSED_PROPERTIES[name]
        self.refused(f'{name}={value}', **{name: value})
        for harmless in unsupported.PROPERTIES[name]:
            self.accepted(**{name: harmless})

    @ddt.idata(unsupported.EXTRA_SPECS)
    def test_extra_spec(self, name):
        value = _REFUSED_SPECS[name]
        self.refused(
            f'{name}={value}', images.instance(extra_specs={name: value})
        )
        for harmless in unsupported.EXTRA_SPECS[name]:
            self.accepted(images.instance(extra_specs={name: harmless}))

    def test_devices_of_another_kind(self):
        self.refused('hw_disk_bus=virtio', hw_disk_bus='virtio')
        self.refused('hw_vif_model=virtio', hw_vif_model='virtio')
        self.refused('netfront', hw_vm_mode='xen', hw_vif_model='e1000')
        self.refused('iso', hw_vm_mode='xen', disk_format='iso')
        self.accepted(hw_vm_mode='hvm', disk_format='iso')

    def test_what_nova_records_for_every_instance(self):
        self.accepted(
            images.instance(kernel_id='k'),
            hw_machine_type='pc',
            hw_video_model='virtio',
            hw_disk_bus='xen',
            hw_cdrom_bus='xen',
            hw_pointer_model='usbtablet',
            hw_input_bus='usb',
        )

    def test_limits_of_a_disk(self):
        specs = {'quota:disk_total_iops_sec': '10', 'quota:cpu_shares': '4'}
        self.refused(
            'quota:disk_total_iops_sec=10', images.instance(extra_specs=specs)
        )
        del specs['quota:disk_total_iops_sec']
        self.accepted(images.instance(extra_specs=specs))

    def test_pci_device(self):
        instance = images.instance()
        instance.pci_requests = objects.InstancePCIRequests(
            instance_uuid=instance.uuid, requests=[]
        )
        self.accepted(instance)
        for alias, word in (('gpu', 'gpu'), (None, 'of a port')):
            instance.pci_requests.requests = [
                objects.InstancePCIRequest(count=1, alias_name=alias)
            ]
            self.refused(f'a PCI device ({word};', instance)

    def test_topology(self):
        self.refused(
            'NUMA',
            images.instance(topology=objects.InstanceNUMATopology(cells=[])),
        )
        # Claimed on a host without cells, the instance has no topology.
        for specs in (
            {'hw:mem_page_size': 'large'},
            {'hw:cpu_policy': 'dedicated'},
            {'hw:numa_nodes': '1'},
        ):
            self.refused('NUMA', images.instance(extra_specs=specs))
        self.refused('Page size large', hw_mem_page_size='large')

    def test_all_is_named_at_once(self):
        self.refused(
            'hw_scsi_model=lsilogic (image property), hw_tpm_version=2.0',
            hw_scsi_model='lsilogic',
            hw_tpm_version='2.0',
        )
