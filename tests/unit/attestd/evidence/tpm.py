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

"""A real TPM 2.0 in software, as a compute host has one."""

import os
import pathlib
import random
import socket
import subprocess
import time

import fixtures

from tests.unit.attestd import process

#: The attributes of the one form that is taken.
ATTRIBUTES = 'fixedtpm|fixedparent|sensitivedataorigin|sign'
_SECONDS = 60


class ToolError(Exception):
    """A tool has failed; its text is what it wrote."""


class Tpm(fixtures.Fixture):
    """swtpm, after the launch of a hypervisor, and Debian's tpm2-tools.

    There is no resource manager, so :meth:`run` removes what a tool leaves.
    """

    def _setUp(self):
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        (self.folder / 'state').mkdir()
        port, control = _ports()
        self.control = f'127.0.0.1:{control}'
        self.environment = {
            'PATH': os.environ['PATH'],
            'TPM2TOOLS_TCTI': f'swtpm:host=127.0.0.1,port={port}',
        }
        one = 'bindaddr=127.0.0.1'
        swtpm = subprocess.Popen(
            [
                'swtpm',
                'socket',
                '--tpm2',
                '--tpmstate',
                f'dir={self.folder}/state',
                '--server',
                f'type=tcp,port={port},{one}',
                '--ctrl',
                f'type=tcp,port={control},{one}',
                '--flags',
                'not-need-init,startup-clear',
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.addCleanup(swtpm.wait, _SECONDS)
        self.addCleanup(swtpm.kill)
        until = time.monotonic() + _SECONDS
        while True:
            try:
                socket.create_connection(('127.0.0.1', control), 1).close()
                break
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
        self.launch('hypervisor')

    def run(self, *arguments, flush=True):
        """Run a tool in the folder, and return what it wrote."""
        found = subprocess.run(
            arguments,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )
        if flush:
            subprocess.run(
                ['tpm2_flushcontext', '-t'],
                env=self.environment,
                check=True,
                capture_output=True,
                timeout=_SECONDS,
            )
        if found.returncode:
            raise ToolError(found.stderr)
        return found.stdout

    def read(self, name):
        """What a tool wrote into a file."""
        return (self.folder / name).read_bytes()

    def write(self, name, data):
        """Write a file for a tool."""
        (self.folder / name).write_bytes(data)

    def launch(self, text):
        """Measure the launch of a hypervisor into PCR 17."""
        self.run('swtpm_ioctl', '--tcp', self.control, '-h', text, flush=False)

    def pcr(self, number=17):
        """The value of a register."""
        self.run('tpm2_pcrread', f'sha256:{number}', '-o', 'pcr', flush=False)
        return self.read('pcr')

    def make_ek(self, kind='rsa'):
        """Make the endorsement key, and return its TPM2B_PUBLIC."""
        self.run('tpm2_createek', '-G', kind, '-c', '0x81010001')
        self.run(
            *('tpm2_readpublic', '-c', '0x81010001', '-f', 'tss'),
            *('-o', 'ek.pub'),
        )
        return self.read('ek.pub')

    def make_parent(self):
        """Make the storage key, and the policy over PCR 17."""
        self.run(
            *('tpm2_createprimary', '-C', 'o', '-G', 'ecc256'),
            *('-c', 'parent.ctx'),
        )
        self.run('tpm2_startauthsession', '-S', 's.ctx', flush=False)
        self.run(
            *('tpm2_policypcr', '-S', 's.ctx', '-l', 'sha256:17'),
            *('-L', 'policy'),
            flush=False,
        )
        self.run('tpm2_flushcontext', 's.ctx', flush=False)

    def make_key(
        self, name, attributes=ATTRIBUTES, kind='ecc256:ecdsa-sha256'
    ):
        """Make a signing key, load it, and return its TPM2B_PUBLIC."""
        self.run(
            *('tpm2_create', '-C', 'parent.ctx', '-G', kind),
            *('-u', f'{name}.pub', '-r', f'{name}.priv', '-L', 'policy'),
            *('-a', attributes),
        )
        self.load(name)
        return self.read(f'{name}.pub')

    def load(self, name):
        """Load a key whose two parts are in files."""
        self.run(
            *('tpm2_load', '-C', 'parent.ctx', '-u', f'{name}.pub'),
            *('-r', f'{name}.priv', '-c', f'{name}.ctx'),
        )

    def activate(self, name, credential):
        """Return the secret of a challenge, by the key and the EK.

        :raises ToolError: the TPM refuses
        """
        self.write('credential', credential)
        session = ('-S', 'ek.ses')
        self.run(
            'tpm2_startauthsession', '--policy-session', *session, flush=False
        )
        try:
            self.run('tpm2_policysecret', *session, '-c', 'e', flush=False)
            self.run(
                *('tpm2_activatecredential', '-c', f'{name}.ctx'),
                *('-C', '0x81010001', '-i', 'credential', '-o', 'secret'),
                *('-P', 'session:ek.ses'),
            )
        finally:
            self.run('tpm2_flushcontext', '-s', flush=False)
        return self.read('secret')

    def sign(self, name, digest):
        """Sign a SHA-256 by a key that the policy opens."""
        self.write('digest', digest)
        self.run(
            *('tpm2_sign', '-c', f'{name}.ctx', '-g', 'sha256'),
            *('-s', 'ecdsa', '-d', 'digest', '-o', 'sig', '-f', 'plain'),
            *('-p', 'pcr:sha256:17'),
        )
        return self.read('sig')


def _ports():
    """Two free ports, one after the other."""
    while True:
        port = process.free_port()
        try:
            socket.create_server(('127.0.0.1', port + 1)).close()
        except OSError:
            time.sleep(random.random() / 10)
            continue
        return port, port + 1
