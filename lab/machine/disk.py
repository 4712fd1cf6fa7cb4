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


"""Labels a root folder for SELinux, and makes a disk of it."""

import os
from pathlib import Path

from lab.machine import recipe
from lab.machine import tree as trees
from lab.run import supervisor as supervisors

_SECONDS = 3600
#: /proc and /sys are mount points; they need labels to be mounted on.
_LABEL = """
setfiles -F -e /proc -e /sys \
    /etc/selinux/default/contexts/files/file_contexts /
"""
_MOUNT_POINTS = ('proc', 'sys')
_MOUNT_POINT_LABEL = b'system_u:object_r:root_t:s0\0'


def make(
    supervisor: supervisors.Supervisor,
    tree: trees.Tree,
    disk: Path,
    size: str,
) -> None:
    """Make a raw disk with the files of a root folder.

    :param size: its size, as mkfs takes it; the file has holes
    :raises LabError: when a file has no label or there is no room
    """
    tree.path('/etc/resolv.conf').unlink(missing_ok=True)
    for name in recipe.UPDATED:
        tree.write(name, '')
    tree.run('labels', ['sh', '-c', _LABEL], _SECONDS)
    for name in _MOUNT_POINTS:
        os.setxattr(tree.path(name), 'security.selinux', _MOUNT_POINT_LABEL)
    supervisor.run(
        'disk',
        [
            'mkfs.ext4',
            '-q',
            # Gone with the machine in any case.
            '-O',
            '^has_journal,^metadata_csum',
            '-E',
            'lazy_itable_init=1,nodiscard',
            '-d',
            tree.root,
            disk,
            size,
        ],
        _SECONDS,
    )
