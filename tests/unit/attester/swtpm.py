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

"""A TPM in a folder, by swtpm, for tests."""

import os
from pathlib import Path
import random
import socket
import subprocess
import time

import fixtures


class Swtpm(fixtures.Fixture):
    """A TPM without a resource manager, as Keylime's agent shares one."""

    def _setUp(self):
        self.folder = Path(self.useFixture(fixtures.TempDir()).path)
        state = self.folder / 'state'
        state.mkdir()
        for _ in range(20):
            port = random.randrange(20000, 30000)
            process = subprocess.Popen(
                [
                    'swtpm',
                    'socket',
                    '--tpm2',
                    f'--tpmstate=dir={state}',
                    f'--server=type=tcp,port={port},bindaddr=127.0.0.1',
                    f'--ctrl=type=tcp,port={port + 1},bindaddr=127.0.0.1',
                    '--flags=not-need-init,startup-clear',
                ],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            self.control = port + 1
            self.tcti = f'swtpm:host=127.0.0.1,port={port}'
            if self._listens(process):
                self.addCleanup(process.wait)
                self.addCleanup(process.kill)
                return
            process.wait()
        raise RuntimeError('no free port for swtpm')

    def _listens(self, process):
        while process.poll() is None:
            try:
                socket.create_connection(
                    ('127.0.0.1', self.control), 1
                ).close()
            except OSError:
                time.sleep(0.02)
            else:
                return True
        return False

    def run(self, *command, data=b''):
        """The output of a program of tpm2-tools."""
        return subprocess.run(
            command,
            input=data,
            capture_output=True,
            check=True,
            timeout=30,
            env={**os.environ, 'TPM2TOOLS_TCTI': self.tcti},
        ).stdout

    def launch(self, text):
        """Launch what a text stands for: TPM_HASH_START at locality 4."""
        self.run(
            'swtpm_ioctl', '--tcp', f'127.0.0.1:{self.control}', '-h', text
        )

    def handles(self, what):
        """The handles that the TPM has, e.g. ``transient``."""
        return self.run('tpm2_getcap', f'handles-{what}').split()
