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

"""What the host is said to offer, in placement and to the scheduler."""

from nova import exception
from nova.objects import fields
from nova.virt.libvirt import driver as libvirt_driver

from nova_isolation.virt import signatures

#: What Nova's driver says it can do and libxl cannot, or what nobody has
#: tried. Each becomes a trait in placement.
NOT_CAPABLE = (
    'supports_accelerators',
    'supports_address_space_emulated',
    'supports_address_space_passthrough',
    'supports_bfv_rescue',
    'supports_device_tagging',
    'supports_ephemeral_encryption',
    'supports_ephemeral_encryption_luks',
    # ``this function is not supported by the connection driver:
    # virDomainBlockResize``
    'supports_extend_volume',
    'supports_mem_backing_file',
    'supports_multiattach',
    'supports_pcpus',
    'supports_remote_managed_ports',
    'supports_secure_boot',
    'supports_socket_pci_numa_affinity',
    'supports_stateless_firmware',
    'supports_tagged_attach_interface',
    'supports_tagged_attach_volume',
    'supports_virtio_fs',
    'supports_vtpm',
)

#: How the traits begin that Nova gives to every host, or by what the QEMU of
#: libvirt can do.
NOT_OFFERED = (
    'COMPUTE_GRAPHICS_MODEL_',
    'COMPUTE_NET_VIRTIO_PACKED',
    'COMPUTE_SECURITY_TPM_',
    'COMPUTE_SOUND_MODEL_',
    'COMPUTE_STORAGE_BUS_IDE',
    'COMPUTE_VIOMMU_MODEL_',
)


class XenTraits(libvirt_driver.LibvirtDriver):
    """Says what the host offers."""

    @signatures.override
    def _get_instance_capabilities(self) -> list[tuple[str, str, str]]:
        # Without it: ``InvalidVirtualMachineMode: Virtual machine mode
        # 'xenpvh' is not recognised``, and the host never registers.
        found = []
        for guest in self._host.get_capabilities().guests:
            for domain in guest.domains:
                try:
                    found.append(
                        (
                            fields.Architecture.canonicalize(guest.arch),
                            fields.HVType.canonicalize(domain),
                            fields.VMMode.canonicalize(guest.ostype),
                        )
                    )
                except (
                    exception.InvalidArchitectureName,
                    exception.InvalidVirtualMachineMode,
                ):
                    continue
        return found

    @signatures.override
    def _update_host_specific_capabilities(self) -> None:
        super()._update_host_specific_capabilities()
        self.capabilities.update(dict.fromkeys(NOT_CAPABLE, False))

    @property
    @signatures.override
    def static_traits(self) -> dict[str, bool]:
        """See Nova's driver."""
        return {
            name: earned and not name.startswith(NOT_OFFERED)
            for name, earned in super().static_traits.items()
        }
