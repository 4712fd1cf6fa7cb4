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

"""A process whose root folder is another, as that of a container."""

import os
import signal
import subprocess

import fixtures

#: The root folder has the programs and libraries of this one, and an emulator
#: by the path of a link, which begins at that root folder.
_SCRIPT = """
set -e
mount -t tmpfs none "$1"
cd "$1"
mkdir -p usr opt/modules old
mount --rbind /usr usr
for name in bin lib lib64 sbin; do ln -s "usr/$name" "$name"; done
ln -s /opt/wrapper opt/qemu
printf '#!/bin/sh\\nexec /usr/bin/qemu-system-x86_64 "$@"\\n' >opt/wrapper
chmod 755 opt/wrapper
cp /usr/bin/sleep opt/libvirtd
eval "$3"
if [ "$2" = pivot ]
then
    pivot_root . old
fi
exec chroot . /opt/libvirtd 600
"""

#: Takes most of the modules of QEMU away, but not its accelerators, without
#: which it does not start; those of Debian 13's are no modules.
FEW_MODULES = """
mkdir few
for module in usr/lib/x86_64-linux-gnu/qemu/accel-*; do
    [ ! -e "$module" ] || cp "$module" few
done
mount --bind few usr/lib/x86_64-linux-gnu/qemu
"""


class MountNamespace(fixtures.Fixture):
    """A process called libvirtd in a mount namespace of its own.

    :ivar pid: its process id
    :ivar root: its root folder, as the kernel shows it
    """

    def __init__(self, way='pivot', more=''):
        """:param way: ``pivot`` as a container, or ``chroot``
        :param more: what is done in the folder before
        """
        self._way = way
        self._more = more

    def _setUp(self):
        folder = self.useFixture(fixtures.TempDir()).path
        process = subprocess.Popen(
            ['unshare', '--mount', '--propagation', 'private', 'bash', '-c',
             _SCRIPT, 'bash', folder, self._way, self._more],
            start_new_session=True,
        )  # fmt: skip
        self.addCleanup(process.wait)
        self.addCleanup(os.killpg, process.pid, signal.SIGKILL)
        self.pid = process.pid
        self.root = f'/proc/{self.pid}/root'
        for _ in range(200):
            with open(f'/proc/{self.pid}/comm') as stream:
                if stream.read() == 'libvirtd\n':
                    return
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError('the namespace could not be made')
        raise AssertionError('the namespace was not made in time')
