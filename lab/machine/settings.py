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


"""The settings of a machine: files, units, root's key, Nova's account."""

from collections.abc import Iterable
from collections.abc import Mapping
import os
import shutil

from lab.machine import image as images
from lab.machine import nova_account
from lab.machine import recipe
from lab.machine import tree as trees
from lab.run import supervisor as supervisors

_SECONDS = 3600


def apply(
    tree: trees.Tree,
    files: Mapping[str, str],
    masked: Iterable[str],
    enabled: Iterable[str],
) -> None:
    """Write files, and say which of systemd's units run.

    :param files: path -> text
    :raises LabError: when there is no such unit
    """
    for name, text in files.items():
        tree.write(name, text)
    tree.path('/etc/libvirt/qemu/networks/autostart/default.xml').unlink(
        missing_ok=True
    )
    units = tree.path('/etc/systemd/system')
    for unit in masked:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to('/dev/null')
    tree.run('units', ['systemctl', 'enable', *enabled], _SECONDS)


def add_key(
    supervisor: supervisors.Supervisor, tree: trees.Tree, image: images.Image
) -> None:
    """Make the key with which root logs in, and note the machine's own.

    :raises LabError: when ssh-keygen fails
    """
    supervisor.run(
        'ssh-key',
        ['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', image.key],
        _SECONDS,
    )
    ssh = tree.path('/root/.ssh')
    ssh.mkdir(mode=0o700, exist_ok=True)
    shutil.copy(image.key.with_suffix('.pub'), ssh / 'authorized_keys')
    host_key = tree.path('/etc/ssh/ssh_host_ed25519_key.pub')
    image.known_hosts.write_text(
        f'{images.HOST_ALIAS} {host_key.read_text(encoding="ascii")}',
        encoding='ascii',
    )


def add_account(tree: trees.Tree) -> None:
    """Make nova-compute's user and folders, and its right to sudo."""
    passwd, group = tree.path('/etc/passwd'), tree.path('/etc/group')
    account = nova_account.add(
        passwd.read_text('utf-8'), group.read_text('utf-8')
    )
    passwd.write_text(account.passwd, 'utf-8')
    group.write_text(account.group, 'utf-8')
    sudoers = nova_account.SUDOERS_FILE
    tree.write(sudoers, nova_account.SUDOERS)
    tree.path(sudoers).chmod(nova_account.SUDOERS_MODE)
    for program in nova_account.PROGRAMS:
        link = tree.path(nova_account.LINKS) / program
        link.symlink_to(recipe.VENV / 'bin' / program)
    tree.path(recipe.INSTANCES).mkdir(parents=True)
    for folder in (recipe.STATE, recipe.INSTANCES):
        os.chown(tree.path(folder), account.uid, account.gid)
