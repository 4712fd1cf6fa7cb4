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


"""The image of guests on a host with Xen, which the Xen machine brings."""

from openstack import connection

from lab.cloud import guest_image
from lab.xen import image as images

IMAGE = 'lab-guest-xen'


def upload(
    cloud: connection.Connection,
    files: images.Image,
    disk: guest_image.GuestFiles,
) -> None:
    """Upload the guest to Glance, as the image called IMAGE.

    :param disk: the lab's other guest, whose empty disk it has too
    """
    kernel = guest_image.upload_file(
        cloud, f'{IMAGE}-kernel', files.guest_kernel, 'aki', 'aki'
    )
    initramfs = guest_image.upload_file(
        cloud, f'{IMAGE}-initramfs', files.guest_initramfs, 'ari', 'ari'
    )
    guest_image.upload_file(
        cloud,
        IMAGE,
        disk.disk,
        'raw',
        'bare',
        kernel_id=kernel,
        ramdisk_id=initramfs,
        os_command_line='console=hvc0 quiet',
    )
