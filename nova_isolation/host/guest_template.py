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

"""AppArmor's template of the profiles of guests, where libvirt sees it.

libvirt reads it in its own root folder (:mod:`.libvirt_root`), which in a
container is another one than that of nova-compute.
"""

import contextlib
import errno
import os
import stat

from nova_isolation.host import privileged
from nova_isolation.host import procfs
from nova_isolation.probes import apparmor
from nova_isolation.probes import foreign_root
from nova_isolation.probes import native_thread


def read(root: str) -> str:
    """Return the text of the template below a root folder.

    :param root: what :func:`nova_isolation.host.libvirt_root.find` returned
    :raises nova_isolation.model.sight.Unseen: only root may look into that
        folder, and there is no helper
    :raises FileNotFoundError: there is no template in that folder
    :raises OSError: the template or that folder cannot be read
    """
    if not root:
        return privileged.read(apparmor.TEMPLATE)
    try:
        found = _found(root)
    except FileNotFoundError as error:
        # A process that has ended has no files, which is no answer about them.
        raise ProcessLookupError(
            f'there is no root folder {root}; see [isolation] libvirt_root'
        ) from error
    if found is None:
        raise FileNotFoundError(
            errno.ENOENT, os.strerror(errno.ENOENT), root + apparmor.TEMPLATE
        )
    return found


def _found(root: str) -> str | None:
    # The root folder is PROC/PID/root, unless an option names another one.
    with privileged.passing_denials(os.path.dirname(os.path.dirname(root))):
        return native_thread.call(_read, root)
    return privileged.call(_read_as_root, root, seconds=None)


def _read(root: str, public: bool = False) -> str | None:
    """Return the text of the template below a root folder.

    Links lead to what they lead to there.

    :param public: whether it must be a file that every user may read
    :returns: None: there is no template
    :raises FileNotFoundError: there is no such root folder
    :raises OSError: the template is not such a file, or cannot be read
    """
    with contextlib.ExitStack() as stack:

        def opened(name: str, flags: int, parent: int | None = None) -> int:
            found = os.open(name, flags | os.O_PATH, dir_fd=parent)
            stack.callback(os.close, found)
            return found

        here = opened(root, os.O_DIRECTORY)
        stable = f'/proc/self/fd/{here}'
        try:
            path = foreign_root.path(stable, apparmor.TEMPLATE)
            for part in path.removeprefix(f'{stable}/').split('/'):
                # No link that was made meanwhile is followed.
                here = opened(part, os.O_NOFOLLOW, here)
        except FileNotFoundError:
            return None
        mode = os.fstat(here).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(f'{root}{apparmor.TEMPLATE} is not a regular file')
        if public and not mode & stat.S_IROTH:
            raise PermissionError(
                f'not every user may read {root}{apparmor.TEMPLATE}'
            )
        return procfs.read(f'/proc/self/fd/{here}')


@privileged.context.entrypoint
def _read_as_root(root: str) -> str | None:
    # The daemon does not trust its caller, who could name a root folder of
    # his own with any file of the host in it: he gets only what every user
    # may read.
    return _read(root, public=True)
