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


"""The guests of the Xen machine: dom0's kernel, unpacked, and an initramfs.

libxl unpacks a compressed kernel in dom0, which takes an emulated machine a
minute and more.
"""

import lzma
from pathlib import Path

from lab.machine import tree as trees
from lab.run import errors
from lab.run import marks
from lab.run import supervisor as supervisors
from lab.xen import image as images
from lab.xen import initramfs

#: The program with which a guest reaches for another one.
_SOURCE = Path(__file__).with_name('peer.c')
_SECONDS = 300
_XZ, _ELF = b'\xfd7zXZ\0', b'\x7fELF'
_MODULES = (
    'xen-blkfront',
    'xen-netfront',
    'xen-evtchn',
    'xen-gntalloc',
    'xen-gntdev',
)
#: It runs what is typed on its console, so that tests can use its "peer".
_INIT = f"""#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
for module in $($b cat /modules); do $b insmod /lib/$module.ko; done
echo "{marks.GUEST_UP} $($b uname -r) $($b cat /sys/hypervisor/guest_type)"
(
    while :; do
        $b sleep 5
        echo "LAB-GUEST-TICK $($b cut -d ' ' -f 1 /proc/uptime)"
    done
) &
while read -r line; do
    echo "LAB-GUEST-RUNS $line"
    (PATH=/bin:/sbin; eval "$line") &
done
while :; do $b sleep 100; done
"""


def make(
    supervisor: supervisors.Supervisor,
    tree: trees.Tree,
    tools: trees.Tree,
    image: images.Image,
) -> None:
    """Make the guests' files.

    :param tree: dom0's root folder
    :param tools: a root folder with a compiler
    :raises LabError: when dom0's kernel cannot be unpacked, or a program fails
    """
    packed = tree.path('/vmlinuz').resolve()
    if not packed.is_file():
        # The link is absolute in some releases.
        packed = max(tree.path('/boot').glob('vmlinuz-*'))
    image.guest_kernel.write_bytes(unpacked(packed.read_bytes()))
    tools.write('/peer.c', _SOURCE.read_text('utf-8'))
    tools.run(
        'guest-program',
        [
            'gcc',
            '-O2',
            '-Wall',
            '-Werror',
            '-static',
            '-o',
            '/peer',
            '/peer.c',
        ],
        _SECONDS,
    )
    initramfs.pack(
        supervisor,
        tree,
        image.guest_initramfs,
        _INIT,
        _MODULES,
        {'peer': tools.path('/peer')},
    )


def unpacked(kernel: bytes) -> bytes:
    """The ELF kernel in a bzImage that is compressed with xz.

    :raises LabError: when there is none
    """
    at = kernel.find(_XZ)
    while at >= 0:
        try:
            found = lzma.LZMADecompressor().decompress(kernel[at:])
        except lzma.LZMAError:
            found = b''
        if found.startswith(_ELF):
            return found
        at = kernel.find(_XZ, at + 1)
    raise errors.LabError("found no kernel that is packed with xz in dom0's")
