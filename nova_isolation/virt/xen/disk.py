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

"""What serves the disks of a guest.

libxl takes every disk without ``<driver name>`` for raw, whatever its type
says: a guest would see the bytes of a qcow2 file, and could write another
backing file into them. So each disk gets a name.

``phy``
    raw files and block devices: blkback in dom0's kernel, over a loop device
    for a file. There is no process for it.
``qemu``
    everything else: a QEMU in dom0 (qdisk). libxl starts one for each guest
    that has such a disk, even where the guest has no device model, so
    ``isolation:xsm_device_model=none`` refuses it.
"""

import typing

from nova import exception

KERNEL, QEMU = 'phy', 'qemu'

#: The formats that libxl hands to a QEMU.
FORMATS = ('qcow', 'qcow2', 'qed', 'vhd')


def name(form: str | None, source: str | None) -> str:
    """The ``<driver name>`` of a disk.

    :param form: the format, ``<driver type>``; None: raw
    :param source: where it is: ``file``, ``block`` or ``network``
    :raises nova.exception.ComputeResourcesUnavailable: libxl has no such
        disks
    """
    if form not in (None, 'raw', *FORMATS):
        raise exception.ComputeResourcesUnavailable(
            reason=f'libxl has no disks of the format {form}; it has raw, '
            + ', '.join(FORMATS)
        )
    raw = form in (None, 'raw') and source in ('file', 'block')
    return KERNEL if raw else QEMU


def check(element: typing.Any) -> None:
    """Refuse a disk of which libxl would drop something without a word.

    :param element: the ``<disk>`` element
    :raises nova.exception.ComputeResourcesUnavailable: the disk is encrypted,
        and the guest would be given the ciphertext; or it has limits
    """
    dropped = []
    if element.find('.//encryption') is not None:
        dropped.append('decrypts no volume (LUKS)')
    if element.find('iotune') is not None:
        dropped.append('limits no disk (QoS specs of a volume type)')
    if dropped:
        raise exception.ComputeResourcesUnavailable(
            reason=f'libxl {" and ".join(dropped)}'
        )


def serve(disk: typing.Any) -> None:
    """Say what serves a disk that is attached.

    :param disk: Nova's LibvirtConfigGuestDisk, changed in place
    :raises nova.exception.ComputeResourcesUnavailable: libxl has no such
        disks
    """
    check(disk.format_dom())
    disk.driver_format = disk.driver_format or 'raw'
    disk.driver_name = name(disk.driver_format, disk.source_type)
    # libxl's blkback has neither: ``unsupported configuration``.
    disk.driver_cache = disk.driver_io = None
