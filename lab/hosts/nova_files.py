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

"""Nova's files on a compute host in namespaces, and their user.

The user, and its right to sudo, exist only in the namespaces of the host.
"""

from collections.abc import Sequence
import dataclasses
import os
from pathlib import Path
import shutil

from lab.config import host_specs
from lab.config import site as sites
from lab.machine import nova_account
from lab.machine import recipe
from lab.run import layout as layouts


@dataclasses.dataclass(frozen=True)
class NovaFiles:
    """The files of one host."""

    layout: layouts.HostLayout
    spec: host_specs.HostSpec

    def make(self) -> None:
        """Make the user, sudo's and nova-rootwrap's files, and folders.

        The folders of lab.run.layout.HostLayout.MOUNTS have to exist.

        :raises LabError: when the packages of libvirt are missing
        """
        layout, account = self.layout, _account()
        file = Path('/etc/hosts')
        hosts = file.read_text(encoding='utf-8') if file.exists() else ''
        for name, text in (
            ('passwd', account.passwd),
            ('group', account.group),
            # sudo looks for the name of its host.
            ('hosts', f'{hosts}\n{sites.LOCALHOST} {self.spec.name}\n'),
        ):
            layouts.write(layout.root / name, text, 0o644)
        layouts.write(
            layout.sudoers, nova_account.SUDOERS, nova_account.SUDOERS_MODE
        )
        shutil.copytree(
            layouts.VENV / 'etc' / 'nova', layout.nova_etc, dirs_exist_ok=True
        )
        for program in nova_account.PROGRAMS:
            link = layout.local_sbin / program
            link.symlink_to(layouts.BIN / program)
        layout.instances.mkdir()
        self._own(layout.nova)
        self._own(layout.instances)

    def give(self, files: Sequence[Path]) -> list[Path]:
        """See lab.hosts.compute_host."""
        for file in files:
            copy = self.layout.nova_etc / file.name
            layouts.write(copy, file.read_text(encoding='utf-8'))
            self._own(copy)
        return [recipe.CONFIGURATION / file.name for file in files]

    def _own(self, path: Path) -> None:
        if self.spec.user != 'root':
            account = _account()
            os.chown(path, account.uid, account.gid)


def _account() -> nova_account.Account:
    return nova_account.add(
        Path('/etc/passwd').read_text(encoding='utf-8'),
        Path('/etc/group').read_text(encoding='utf-8'),
    )
