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

"""A process that examines its host, for the tests: another user, elsewhere.

Reads a JSON object from its standard input and prints one:

``uid``
    the user to become after the modules are loaded and the helper runs
``helper``
    the command of the privileged helper
``started``
    whether the helper is started while this process is still root, as sudo
    would start it
``kill``
    whether the helper is killed then
``hidepid``
    the option with which a /proc is mounted on the folder ``proc`` first
``proc``, ``run_dir``
    as SelfExamination takes them
"""

import ctypes
import json
import logging
import os
import signal
import subprocess
import sys
import time

from oslo_config import cfg

from nova_isolation.host import privileged
from nova_isolation.host import procfs
from nova_isolation.host import self_examination

_NEWNS = 0x00020000


def helpers(command: str) -> list[int]:
    """Return the ids of the helpers that a command has started."""
    found = []
    for entry in filter(str.isdecimal, os.listdir('/proc')):
        try:
            text = procfs.read(f'/proc/{entry}/cmdline')
        except OSError:
            continue
        if command.split()[-1] in text.split('\0'):
            found.append(int(entry))
    return sorted(set(found) - {os.getpid()})


def main() -> None:
    """Examine the host."""
    logging.basicConfig(level=logging.DEBUG)
    given = json.load(sys.stdin)
    cfg.CONF([], project='nova')
    context = privileged.context
    cfg.CONF.set_override(
        'helper_command', given['helper'], group=context.cfg_section
    )
    if given.get('hidepid'):
        ctypes.CDLL(None).unshare(_NEWNS)
        subprocess.run(['mount', '--make-rprivate', '/'], check=True)
        subprocess.run(
            [
                'mount', '-t', 'proc',
                '-o', f'hidepid={given["hidepid"]}', 'proc', given['proc'],
            ],
            check=True,
        )  # fmt: skip
    if given.get('started'):
        context.start()
    if given.get('kill'):
        for pid in helpers(given['helper']):
            os.kill(pid, signal.SIGKILL)
        while context.channel.running:
            time.sleep(0.01)
    os.setgroups([])
    os.setresgid(*3 * [given['uid']])
    os.setresuid(*3 * [given['uid']])
    examination = self_examination.SelfExamination(
        given['run_dir'], given['proc']
    )
    begun = time.monotonic()
    unseen = examination.examine()
    again = examination.examine()
    assert unseen == again
    print(
        json.dumps(
            {
                'unseen': {t.value: r.code for t, r in unseen.items()},
                'hides': procfs.hides(given['proc']),
                'seconds': time.monotonic() - begun,
            }
        )
    )


if __name__ == '__main__':
    main()
