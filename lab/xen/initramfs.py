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


"""Packs an initramfs: busybox, some kernel modules, an init script."""

from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
import shutil
import tempfile

from lab.machine import tree as trees
from lab.run import errors
from lab.run import supervisor as supervisors

_FOLDERS = ('bin', 'dev', 'lib', 'new', 'proc', 'sbin', 'sys')


def pack(
    supervisor: supervisors.Supervisor,
    tree: trees.Tree,
    target: Path,
    init: str,
    modules: Sequence[str],
    programs: Mapping[str, Path],
) -> None:
    """Make an initramfs of files in dom0's tree.

    :param init: the text of its init, a script of busybox's shell; the
        modules are in its /lib, in the order in which /modules names them
    :param modules: kernel modules; those that are built in are passed over
    :param programs: more programs: name in /bin -> static executable
    :raises LabError: when cpio fails
    """
    found = {
        path.name.removesuffix('.ko'): path
        for path in tree.path('/lib/modules').rglob('*.ko')
    }
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        root = Path(name)
        for folder in _FOLDERS:
            (root / folder).mkdir()
        shutil.copy(tree.path('/bin/busybox'), root / 'bin' / 'busybox')
        for link in ('poweroff', 'reboot'):
            (root / 'sbin' / link).symlink_to('../bin/busybox')
        for module in modules:
            if module in found:
                shutil.copy(found[module], root / 'lib')
        (root / 'modules').write_text(
            '\n'.join(one for one in modules if one in found) + '\n', 'ascii'
        )
        for program, path in programs.items():
            shutil.copy(path, root / 'bin' / program)
        (root / 'init').write_text(init, 'utf-8')
        (root / 'init').chmod(0o755)
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
                f'--file={target}',
            ],
            text=f'{names}\n',
            folder=root,
        )
    if result.returncode:
        raise errors.LabError(f'cpio: {result.stderr}')
