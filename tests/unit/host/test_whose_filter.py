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

"""Whose seccomp filter a real QEMU runs under."""

import os
import subprocess
import sys
import time

import fixtures

from nova_isolation.host import qemu_process
from nova_isolation.mechanisms import base as mechanisms_base
from nova_isolation.mechanisms import registry
from nova_isolation.mechanisms.qemu import sandbox
from nova_isolation.model import requirements
from tests.unit import base
from tests.unit import fakes
from tests.unit.host import test_qemu_process

QEMU = '/usr/bin/qemu-system-x86_64'

#: Installs a filter that allows everything and becomes another program, as
#: systemd does with libvirtd, and libvirtd with QEMU.
BELOW_A_FILTER = (
    test_qemu_process.CHILD.partition("print('ready'")[0]
    + 'import os\nos.execv(sys.argv[2], sys.argv[2:])\n'
)

SPECS = {'isolation:qemu_sandbox': 'true'}


class Guest(fakes.Guest):
    """A guest whose process is a real one."""

    def __init__(self, process):
        super().__init__()
        self._process = process

    def process(self):
        """See the base class."""
        return self._process


class WhoseFilterTest(base.TestCase):
    """A proof is of the filter that QEMU itself has installed."""

    def qemu(self, *options, below=True, name='guest'):
        """A real QEMU that libvirtd could have started.

        :param options: of the sandbox
        :param below: whether its parent was under a filter already
        """
        folder = self.useFixture(fixtures.TempDir()).path
        pid_file = os.path.join(folder, f'{fakes.Guest().name}.pid')
        prefix = (sys.executable, '-c', BELOW_A_FILTER, 'filter')
        child = subprocess.Popen(
            [
                *(prefix if below else ()), QEMU,
                '-name', name, '-uuid', fakes.UUID, '-machine', 'none',
                '-nodefaults', '-display', 'none', '-S',
                '-pidfile', pid_file, *options,
            ]
        )  # fmt: skip
        self.addCleanup(child.wait, 30)
        self.addCleanup(child.kill)
        end = time.monotonic() + 60
        # QEMU writes the file after it has installed its filter.
        while not os.path.exists(pid_file) or not os.path.getsize(pid_file):
            self.assertIsNone(child.poll())
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)
        return qemu_process.QemuProcess.find(
            folder, fakes.Guest().name, fakes.UUID
        )

    def verify(self, process):
        """What the mechanism finds out about a guest of that process."""
        mechanism = registry.get().loaded['qemu']
        host = fakes.Host()
        wanted = requirements.parse(SPECS, registry.get().vocabulary)
        (found,) = mechanism.verify(
            Guest(process), wanted, mechanism.measure(host), host
        )
        return found

    def assertProven(self, process):
        self.assertEqual(2, process.seccomp())
        self.assertIsInstance(self.verify(process), mechanisms_base.Proof)

    def assertRefused(self, process, found):
        # The kernel reports a filter all the same.
        self.assertEqual(2, process.seccomp())
        unmet = self.verify(process)
        self.assertEqual('isolation.qemu.no_sandbox', unmet.code)
        self.assertIn(found, unmet.found)

    def test_own_filter(self):
        asked = sandbox.ASKED.split()
        self.assertProven(self.qemu(*asked, below=False))
        self.assertProven(self.qemu(*asked))

    def test_filter_of_the_parent(self):
        self.assertRefused(self.qemu('-sandbox', 'off'), "'off'")
        self.assertRefused(
            self.qemu(name=f'a {sandbox.ASKED}'.replace(',', ',,')),
            'no -sandbox',
        )

    def test_own_filter_that_allows_more(self):
        self.assertRefused(self.qemu('-sandbox', 'on', below=False), "'on'")
