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

"""The image of the guests: kernel, initramfs and disk, made once."""

import dataclasses
import hashlib
import os
from pathlib import Path
import shutil
import tempfile

from openstack import connection

from lab.run import errors
from lab.run import layout as layouts
from lab.run import marks
from lab.run import supervisor as supervisors

IMAGE = 'lab-guest'
_META_PACKAGE = 'linux-image-cloud-amd64'
_BUSYBOX = Path('/bin/busybox')
_DISK_BYTES = 1 << 20
_INIT = f'''#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
echo "{marks.GUEST_UP} $($b uname -r)"
while :; do
    $b sleep 5
    echo "LAB-GUEST-TICK $($b cut -d ' ' -f 1 /proc/uptime)"
done
'''


@dataclasses.dataclass(frozen=True)
class GuestFiles:
    """The files of the guest, in one folder."""

    folder: Path

    @property
    def kernel(self) -> Path:
        """The kernel of Debian's package for virtual machines."""
        return self.folder / 'vmlinuz'

    @property
    def initramfs(self) -> Path:
        """An uncompressed archive of busybox and an init script."""
        return self.folder / 'initramfs'

    @property
    def disk(self) -> Path:
        """An empty disk: the guest runs from its initramfs."""
        return self.folder / 'disk.raw'


def make(supervisor: supervisors.Supervisor) -> GuestFiles:
    """The guest's files, from the cache if they are in it.

    :raises LabError: when apt does not know the kernel or cannot download it
    """
    package = _kernel_package(supervisor)
    key = hashlib.sha256(
        '\0'.join([*package, _INIT, str(_DISK_BYTES)]).encode()
    ).hexdigest()[:16]
    files = GuestFiles(layouts.cache() / 'guest' / key)
    if files.folder.exists():
        return files
    files.folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=files.folder.parent) as name:
        work = Path(name)
        made = GuestFiles(work / 'made')
        made.folder.mkdir()
        _kernel(supervisor, work, '='.join(package), made.kernel)
        _initramfs(supervisor, work / 'root', made.initramfs)
        with made.disk.open('wb') as disk:
            disk.truncate(_DISK_BYTES)
        try:
            made.folder.rename(files.folder)
        except OSError:
            # Another lab was faster, and made the same files.
            if not files.folder.exists():
                raise
    return files


def upload(cloud: connection.Connection, files: GuestFiles) -> None:
    """Upload the guest to Glance, as the image called IMAGE."""
    kernel = upload_file(cloud, f'{IMAGE}-kernel', files.kernel, 'aki', 'aki')
    initramfs = upload_file(
        cloud, f'{IMAGE}-initramfs', files.initramfs, 'ari', 'ari'
    )
    upload_file(
        cloud,
        IMAGE,
        files.disk,
        'raw',
        'bare',
        kernel_id=kernel,
        ramdisk_id=initramfs,
        os_command_line='console=ttyS0 quiet',
    )


def upload_file(
    cloud: connection.Connection,
    name: str,
    path: Path,
    disk: str,
    container: str,
    **properties: str,
) -> str:
    """Upload a file to Glance, for all projects.

    :param disk: its disk_format
    :param container: its container_format
    :returns: the id of the image
    """
    image = cloud.image.create_image(
        name,
        filename=str(path),
        disk_format=disk,
        container_format=container,
        visibility='public',
        allow_duplicates=True,
        wait=True,
        timeout=60,
        **properties,
    )
    return str(image.id)


def _kernel_package(supervisor: supervisors.Supervisor) -> tuple[str, str]:
    for last in (False, True):
        output = supervisor.output(
            ['apt-cache', 'depends', _META_PACKAGE]
        ).stdout
        names = [
            line.split()[-1]
            for line in output.splitlines()
            if line.strip().startswith('Depends: linux-image')
        ]
        if names:
            shown = supervisor.output(
                ['apt-cache', 'show', '--no-all-versions', names[0]]
            ).stdout
            versions = [
                line.split()[-1]
                for line in shown.splitlines()
                if line.startswith('Version:')
            ]
            if versions:
                return names[0], versions[0]
        if not last:
            _apt(supervisor, Path('/'), 'update')
    raise errors.LabError(
        f'apt knows no package {_META_PACKAGE}: check its sources'
    )


def _kernel(
    supervisor: supervisors.Supervisor, work: Path, package: str, kernel: Path
) -> None:
    _apt(supervisor, work, 'download', package)
    archive = next(work.glob('*.deb'))
    result = supervisor.output(['dpkg-deb', '-x', archive, work / 'package'])
    if result.returncode:
        raise errors.LabError(f'{archive.name}: {result.stderr}')
    shutil.copy(next((work / 'package' / 'boot').glob('vmlinuz-*')), kernel)


def _initramfs(
    supervisor: supervisors.Supervisor, root: Path, initramfs: Path
) -> None:
    for folder in ('bin', 'dev', 'proc', 'sys'):
        (root / folder).mkdir(parents=True)
    shutil.copy(_BUSYBOX, root / 'bin' / 'busybox')
    layouts.write(root / 'init', _INIT, 0o755)
    names = '\n'.join(
        str(path.relative_to(root)) for path in sorted(root.rglob('*'))
    )
    result = supervisor.output(
        [
            'cpio',
            '--create',
            '--quiet',
            '--format=newc',
            '--owner=0:0',
            f'--file={initramfs}',
        ],
        text=names + '\n',
        folder=root,
    )
    if result.returncode:
        raise errors.LabError(f'cpio: {result.stderr}')


def _apt(
    supervisor: supervisors.Supervisor, folder: Path, *arguments: str
) -> None:
    # Unlike the cloud, apt may need the proxy of the environment.
    proxies = {
        name: value
        for name, value in os.environ.items()
        if name.lower().endswith('_proxy')
    }
    result = supervisor.output(
        ['apt-get', '-q', '-o', 'DPkg::Lock::Timeout=120', *arguments],
        seconds=300,
        folder=folder,
        environment=proxies,
    )
    if result.returncode:
        raise errors.LabError(
            f'apt-get {" ".join(arguments)}: {result.stderr}'
        )
