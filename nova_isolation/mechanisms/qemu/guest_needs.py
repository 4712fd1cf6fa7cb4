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

"""What guests of Nova use of QEMU, and what they lose without it.

Read in nova/virt/libvirt/driver.py of Nova 34 and tried with guests on a QEMU
that lacks it. The names are QOM types of QEMU 7.2 to 10.0.
"""

from collections.abc import Set
import dataclasses
import fnmatch

from nova_isolation.mechanisms.qemu import catalogue


@dataclasses.dataclass(frozen=True)
class Need:
    """What guests use, and the QOM types that provide it.

    :ivar use: what guests use, a noun phrase
    :ivar types: groups of QOM types: of each group the emulator must know one;
        ``*`` stands for any characters
    :ivar without: what happens without it, and what the admin can do
    :ivar always: whether every guest of Nova has it, so that no guest starts
        without it
    """

    use: str
    types: tuple[tuple[str, ...], ...]
    without: str
    always: bool = False

    def is_met(self, known: Set[str]) -> bool:
        """Return whether an emulator has it.

        :param known: all QOM types that the emulator knows
        """
        return all(
            any(fnmatch.filter(known, name) for name in names)
            for names in self.types
        )

    @property
    def components(self) -> frozenset[str]:
        """The components of the catalogue that provide it, or a part of it."""
        return catalogue.present(
            frozenset(name for names in self.types for name in names)
        )


_USB = (
    'piix3-usb-uhci', 'ich9-usb-uhci1', 'qemu-xhci', 'nec-usb-xhci',
    'usb-ehci', 'ich9-usb-ehci1', 'pci-ohci',
)  # fmt: skip

#: All of them.
NEEDS = (
    Need(
        'disks over virtio',
        (('virtio-blk-pci', 'virtio-blk-ccw'),),
        'no guest starts, except with hw_disk_bus of another kind',
        always=True,
    ),
    Need(
        'network ports over virtio',
        (('virtio-net-pci', 'virtio-net-ccw'),),
        'no guest with a port starts, except with another hw_vif_model',
        always=True,
    ),
    Need(
        'the memory balloon',
        (('virtio-balloon-pci', 'virtio-balloon-ccw'),),
        'no guest starts, except with [libvirt] mem_stats_period_seconds = 0',
        always=True,
    ),
    Need(
        'the random number generator',
        (('virtio-rng-pci', 'virtio-rng-ccw'),),
        'no guest starts, except with hw_rng:allowed=False in the flavor',
        always=True,
    ),
    Need(
        'the serial console',
        (('isa-serial', 'pl011', 'sclpconsole'),),
        'no guest starts',
        always=True,
    ),
    Need(
        'the machine type pc',
        (('pc-i440fx-*-machine',),),
        'set [libvirt] hw_machine_type = x86_64=q35; existing guests of type '
        'pc do not start',
    ),
    Need(
        'the machine type q35',
        (('pc-q35-*-machine',),),
        'images with hw_machine_type=q35 do not start',
    ),
    Need(
        'the video model virtio, the default where VNC or SPICE is on',
        (('virtio-vga', 'virtio-gpu-pci'),),
        'use images with hw_video_model=vga or none',
    ),
    Need(
        'the video model vga',
        (('VGA',),),
        'use images with hw_video_model=none',
    ),
    Need(
        'the USB tablet, the default where VNC is on',
        (('usb-tablet',), _USB),
        'set [DEFAULT] pointer_model = ps2mouse',
    ),
    Need(
        'TLS for VNC, live migration and LUKS volumes',
        # The other types of TLS are there without GnuTLS too.
        (('tls-cipher-suites',),),
        'do not set [vnc] auth_schemes to vencrypt or [libvirt] '
        'live_migration_with_native_tls',
    ),
    Need(
        'a vTPM',
        (('tpm-crb', 'tpm-tis'), ('tpm-emulator',)),
        'flavors with hw:tpm_version do not start; set [libvirt] '
        'swtpm_enabled = False',
    ),
    Need(
        'the timer HPET',
        (('hpet',),),
        'with virt_type = qemu, a guest from a QEMU that has it cannot come '
        'by live migration',
    ),
    Need(
        'the floppy controller of the machine type pc',
        (('isa-fdc',),),
        'a guest of type pc from a QEMU that has it cannot come by live '
        'migration',
    ),
    Need(
        'the guest agent and other ports over virtio-serial',
        (('virtio-serial-pci', 'virtio-serial-ccw'),),
        'images with hw_qemu_guest_agent=True do not start',
    ),
    Need(
        'disks over virtio-scsi',
        (('virtio-scsi-pci', 'virtio-scsi-ccw'), ('scsi-hd',)),
        'images with hw_scsi_model=virtio-scsi do not start',
    ),
    Need(
        'the watchdog',
        (('i6300esb', 'diag288'),),
        'flavors and images with hw:watchdog_action do not start',
    ),
    Need(
        'a virtual IOMMU',
        (('intel-iommu', 'virtio-iommu-pci', 'arm-smmuv3'),),
        'flavors and images with hw:viommu_model do not start',
    ),
    Need(
        'PCI devices of the host and virtual GPUs',
        (('vfio-pci', 'vfio-ccw'),),
        'flavors with pci_passthrough:alias, and ports of type direct, do '
        'not start',
    ),
    Need(
        'persistent memory',
        (('nvdimm',),),
        'flavors with hw:pmem do not start',
    ),
    Need(
        'shared file systems over virtiofs',
        (('vhost-user-fs-pci', 'vhost-user-fs-ccw'),),
        'shares of Manila cannot be attached',
    ),
)


def missing(known: Set[str]) -> tuple[Need, ...]:
    """Return what guests of Nova lose on an emulator.

    :param known: all QOM types that the emulator knows
    """
    return tuple(need for need in NEEDS if not need.is_met(known))
