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

"""The process of libvirt's daemon."""

import os

from nova_isolation.host import privileged
from nova_isolation.host import procfs

#: The names of the daemons that have libvirt's driver of QEMU or of Xen.
NAMES = ('libvirtd', 'virtqemud', 'virtxend')


def find(run_dir: str, proc: str = procfs.PROC) -> int:
    """Return the process id of libvirt's daemon, as a /proc shows it.

    :param run_dir: the folder of libvirt's pid files
    :param proc: where the processes are seen, ``[isolation] process_root``
    :raises FileNotFoundError: the pid file of the daemon is not there
    :raises ProcessLookupError: that /proc does not show the daemon: the file
        is left over, or its number is one of another PID namespace
    :raises OSError: that cannot be found out
    """
    path = os.path.join(run_dir, privileged.DAEMON_FILE)
    try:
        text = privileged.read(path).strip()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f'there is no {path}, so the daemon of libvirt cannot be found; '
            f'see [isolation] qemu_run_dir and libvirt_root'
        ) from error
    name = ''
    if text.isascii() and text.isdecimal():
        try:
            name = privileged.read_process(int(text), 'comm', proc).strip()
        except (FileNotFoundError, ProcessLookupError):
            name = ''
    if name not in NAMES:
        raise ProcessLookupError(
            f'process {text} of {path} is not {" or ".join(NAMES)} in '
            f"{proc}; see [isolation] process_root, which must be the host's "
            f'/proc'
        )
    return int(text)
