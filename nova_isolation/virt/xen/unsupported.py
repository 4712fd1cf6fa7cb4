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

"""What an image or a flavor may ask for that no Xen guest gets.

libxl ignores most of it without a word. A guest that asks for it is refused
before an image is fetched, so that Nova tries another host.
"""

from collections.abc import Iterator
import typing

from nova import exception
from nova.virt import hardware

from nova_isolation.virt.xen import guest_kind
from nova_isolation.virt.xen import nova_modules

#: Image property -> the values that make no difference. Any other value is
#: refused. Not hw_video_model: Nova itself records one, virtio, for each
#: instance that has none.
PROPERTIES: dict[str, tuple[object, ...]] = {
    'hw_emulation_architecture': ('x86_64',),
    'hw_firmware_type': ('bios',),
    'hw_firmware_stateless': (False,),
    'hw_mem_encryption': (False,),
    'hw_redirected_usb_ports': (0,),
    'hw_scsi_model': (),
    'hw_sound_model': (),
    'hw_tpm_model': (),
    'hw_tpm_version': (),
    'hw_viommu_model': (),
    'hw_watchdog_action': ('disabled',),
    'os_secure_boot': ('disabled', 'optional'),
}

#: Extra spec -> as above.
EXTRA_SPECS: dict[str, tuple[str, ...]] = {
    'hw:firmware_stateless': ('false',),
    'hw:mem_encryption': ('false',),
    'hw:redirected_usb_ports': ('0',),
    'hw:sound_model': (),
    'hw:tpm_model': (),
    'hw:tpm_version': (),
    'hw:viommu_model': (),
    'hw:watchdog_action': ('disabled',),
    'os:secure_boot': ('disabled', 'optional'),
    'hw:pmem': (),
}


#: How the extra specs begin of which libvirt's driver of Xen reads nothing: it
#: writes no limits of a disk into libxl's configuration.
DISK_LIMITS = 'quota:disk_'


def check(instance: typing.Any, image_meta: typing.Any) -> None:
    """Refuse a guest that asks for what Xen does not have.

    :param instance: Nova's instance
    :param image_meta: the image that it runs, which may be a rescue image
    :raises nova.exception.ComputeResourcesUnavailable: it does; Nova tries
        another host where it can
    """
    found = [
        *_of_image(instance, image_meta),
        *_of_flavor(instance, image_meta),
    ]
    if found:
        raise exception.ComputeResourcesUnavailable(
            reason='a guest of Xen cannot have ' + ', '.join(found)
        )


def _of_image(instance: typing.Any, image_meta: typing.Any) -> Iterator[str]:
    properties = image_meta.properties
    for name, harmless in PROPERTIES.items():
        value = properties.get(name)
        if value is not None and value not in harmless:
            yield f'{name}={value} (image property)'
    kind = guest_kind.of(instance, image_meta)
    bus = properties.get('hw_disk_bus')
    if bus not in (None, nova_modules.BUS):
        yield f'hw_disk_bus={bus} (image property; leave it out)'
    model = properties.get('hw_vif_model')
    usable = nova_modules.VIF_MODELS[: None if kind.emulated else 1]
    if model is not None and model not in usable:
        yield (
            f'hw_vif_model={model} (image property; a guest of the machine '
            f'{kind.machine} has {", ".join(usable)})'
        )
    form = image_meta.disk_format if 'disk_format' in image_meta else None
    if form == 'iso' and not kind.emulated:
        yield f'an image of the format iso on the machine {kind.machine}'


def _of_flavor(instance: typing.Any, image_meta: typing.Any) -> Iterator[str]:
    for name, value in (instance.flavor.extra_specs or {}).items():
        if name in EXTRA_SPECS and (value.lower() not in EXTRA_SPECS[name]):
            yield f'{name}={value} (extra spec)'
        elif name.startswith(DISK_LIMITS):
            yield f'{name}={value} (extra spec; libxl limits no disk)'
    requested = instance.pci_requests
    for request in requested.requests if requested else ():
        yield (
            f'a PCI device ({request.alias_name or "of a port"}; extra spec '
            'pci_passthrough:alias, or a port of SR-IOV)'
        )
    try:
        # Not only what the instance has: Nova's resource tracker claims
        # nothing on a host that has told no cells, and drops the wish.
        topology = instance.numa_topology
        if topology is None:
            topology = hardware.numa_get_constraints(
                instance.flavor, image_meta
            )
    except exception.NovaException as error:
        # The image contradicts the flavor.
        yield str(error)
    else:
        if topology is not None:
            yield (
                'a NUMA topology, pinned processors or huge pages (extra '
                'specs hw:numa_*, hw:cpu_policy, hw:mem_page_size, or the '
                'image properties of these names)'
            )
