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


"""The images of guests on a host with Xen, which the Xen machine brings."""

from collections.abc import Iterator
import contextlib
import gzip
from pathlib import Path
import tempfile

from openstack import connection

from lab.cloud import guest_image
from lab.xen import image as images

#: The PV guest's image. The others are for tests, which upload them.
IMAGE = 'lab-guest-xen'
PVH, HVM = f'{IMAGE}-pvh', f'{IMAGE}-hvm'


def upload(
    cloud: connection.Connection,
    files: images.Image,
    disk: guest_image.GuestFiles,
) -> None:
    """Upload the PV guest to Glance, as the image called IMAGE.

    :param disk: the lab's other guest, whose empty disk it has too
    """
    with _packed(files.guest_kernel) as kernel:
        _upload(cloud, IMAGE, kernel, files, disk)


def upload_pvh(
    cloud: connection.Connection,
    files: images.Image,
    disk: guest_image.GuestFiles,
) -> list[str]:
    """Upload the PVH guest, as the image called PVH; see upload().

    :returns: the ids of its images
    """
    with _packed(files.guest_kernel) as kernel:
        return _upload(
            cloud, PVH, kernel, files, disk, hw_machine_type='xenpvh'
        )


def upload_hvm(
    cloud: connection.Connection,
    files: images.Image,
    disk: guest_image.GuestFiles,
) -> list[str]:
    """Upload the HVM guest, as the image called HVM; see upload().

    Its firmware starts a packed kernel only.

    :returns: the ids of its images
    """
    return _upload(
        cloud,
        HVM,
        files.kernel,
        files,
        disk,
        console='ttyS0',
        hw_machine_type='xenfv',
    )


@contextlib.contextmanager
def _packed(kernel: Path) -> Iterator[Path]:
    """A copy of a kernel that is packed with gzip, until the context ends.

    dom0 fetches and hashes it on an emulated processor. libxl unpacks it, in
    far less time than what Debian packs its kernel with.
    """
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / f'{kernel.name}.gz'
        packed.write_bytes(gzip.compress(kernel.read_bytes(), mtime=0))
        yield packed


def _upload(
    cloud: connection.Connection,
    name: str,
    kernel: Path,
    files: images.Image,
    disk: guest_image.GuestFiles,
    console: str = 'hvc0',
    **properties: str,
) -> list[str]:
    """Upload kernel, initramfs and disk.

    :returns: the ids of the three images
    """
    kernel_id = guest_image.upload_file(
        cloud, f'{name}-kernel', kernel, 'aki', 'aki'
    )
    initramfs_id = guest_image.upload_file(
        cloud, f'{name}-initramfs', files.guest_initramfs, 'ari', 'ari'
    )
    disk_id = guest_image.upload_file(
        cloud,
        name,
        disk.disk,
        'raw',
        'bare',
        kernel_id=kernel_id,
        ramdisk_id=initramfs_id,
        os_command_line=f'console={console} quiet',
        **properties,
    )
    return [kernel_id, initramfs_id, disk_id]
