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

"""The devices that an image or a flavor of Nova can ask for.

Nova reads the names of devices from properties of the image, some of them
also from extra specs of the flavor (``hw:sound_model`` counts like
``hw_sound_model``). libvirt refuses to start a guest with a device that its
QEMU lacks, on every host: so a flavor that forbids the component and an image
that asks for the device never come together.

The values are those of nova/objects/fields.py; what QEMU builds from them is
in src/qemu/qemu_command.c and src/qemu/qemu_domain.c of libvirt.
"""

from collections.abc import Iterator
from collections.abc import Mapping
import types

#: A USB device needs a controller, of whatever kind.
_USB = ('usb-uhci', 'usb-ohci', 'usb-ehci', 'usb-xhci')

#: What one value needs: for each of these, one of the components.
_Needs = tuple[tuple[str, ...], ...]

_BUS: dict[str, _Needs] = {
    'fdc': (('floppy',),),
    'usb': (('usb-storage',), _USB),
}

#: Property -> value -> what it needs.
_DEVICES: Mapping[str, Mapping[str, _Needs]] = types.MappingProxyType(
    {
        'hw_cdrom_bus': _BUS,
        'hw_disk_bus': _BUS,
        'hw_floppy_bus': _BUS,
        'hw_rescue_bus': _BUS,
        'hw_input_bus': {'usb': (_USB,)},
        'hw_pointer_model': {'usbtablet': (_USB,)},
        'hw_scsi_model': {
            'lsilogic': (('lsi-scsi',),),
            'lsisas1068': (('mptsas',),),
            'lsisas1078': (('megasas',),),
            'vmpvscsi': (('pvscsi',),),
        },
        'hw_sound_model': {
            'ac97': (('ac97',),),
            'es1370': (('es1370',),),
            'ich6': (('intel-hda',),),
            'ich9': (('intel-hda',),),
            'sb16': (('sb16',),),
            'usb': (_USB,),
        },
        'hw_usb_model': {
            'nec-xhci': (('usb-xhci',),),
            'qemu-xhci': (('usb-xhci',),),
        },
        'hw_video_model': {
            'bochs': (('bochs-display',),),
            'cirrus': (('cirrus',),),
            'qxl': (('qxl',),),
            'virtio': (('virtio-gpu',),),
            'vmvga': (('vmware-vga',),),
        },
        'hw_vif_model': {
            'e1000': (('e1000',),),
            'e1000e': (('e1000e',),),
            'ne2k_pci': (('ne2000',),),
            'pcnet': (('pcnet',),),
            'rtl8139': (('rtl8139',),),
            'vmxnet3': (('vmxnet3',),),
        },
    }
)

_REDIRECTED = 'hw_redirected_usb_ports'


def missing(
    properties: Mapping[str, object], absent: frozenset[str]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Find what no QEMU without these components can give a guest.

    :param properties: name of an image property -> its value; only those that
        are set
    :param absent: the components that QEMU must not have
    :returns: ``property=value``, and the components of which it needs one
    """
    for name, devices in _DEVICES.items():
        value = properties.get(name)
        for alternatives in devices.get(str(value), ()):
            if absent.issuperset(alternatives):
                yield f'{name}={value}', alternatives
    ports = properties.get(_REDIRECTED)
    if ports is None or str(ports) == '0':
        return
    for alternatives in (('usb-redir',), _USB):
        if absent.issuperset(alternatives):
            yield f'{_REDIRECTED}={ports}', alternatives
