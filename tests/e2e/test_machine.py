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


"""What happens when the lab's machine fails, on machines without a cloud."""

import functools
import os
import signal
import threading
import time
from typing import ClassVar
import unittest

from lab.machine import cache
from lab.machine import confined
from lab.machine import image as images
from lab.machine import restore
from lab.run import errors
from lab.run import layout as layouts
from lab.run import processes
from lab.run import progress as progresses
from lab.run import supervisor as supervisors

#: Within so many seconds the end of a machine has to be noticed, also when
#: the machine that emulates it is busy.
_SECONDS = 120
#: More than the whole test may take.
_LONG = 3600


class MachineTest(unittest.TestCase):
    """The SELinux machine, restored for each test."""

    layout: ClassVar[layouts.Layout]
    supervisor: ClassVar[supervisors.Supervisor]
    source: ClassVar[images.Image]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.layout = layouts.Layout(layouts.default_state('e2e-machine'))
        running = processes.belonging(cls.layout)
        if running:
            raise errors.LabError(
                f'processes of another run are left: {running}'
            )
        cls.layout.make()
        cls.supervisor = supervisors.Supervisor(cls.layout)
        cls.source = cache.image(
            confined.KIND, cls.supervisor, progresses.Progress()
        )

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(
            lambda: self.assertEqual({}, processes.belonging(self.layout))
        )
        self.ssh = self.enterContext(
            restore.restored(
                self.supervisor,
                confined.KIND,
                self.source,
                'selinux',
                self.layout.state / restore.NAME,
            )
        )
        self.qemu = self.supervisor.daemons()[restore.NAME]

    def assertNoticed(self, error: errors.DiedError, since: float) -> None:
        """The end of QEMU was noticed, and named, in time."""
        self.assertLess(time.monotonic() - since, _SECONDS)
        self.assertFalse(self.qemu.alive())
        self.assertIn(restore.NAME, error.daemons)
        self.assertIn(f'{restore.NAME}.log', str(error))

    def kill_soon(self) -> None:
        timer = threading.Timer(
            3, functools.partial(os.kill, self.qemu.pid, signal.SIGKILL)
        )
        timer.start()
        self.addCleanup(timer.join)

    def test_it_has_what_a_failure_needs(self) -> None:
        for name, wanted in (('panic', '-1'), ('panic_on_oops', '1')):
            found = self.ssh.check(['cat', f'/proc/sys/kernel/{name}'])
            self.assertEqual(wanted, found.strip(), name)
        # With two, text patching is not safe with the emulation of QEMU 7.2.
        self.assertEqual('1', self.ssh.check(['nproc']).strip())

    def test_panic(self) -> None:
        since = time.monotonic()
        with self.assertRaises(errors.DiedError) as caught:
            self.ssh.check(
                ['sh', '-c', 'echo c >/proc/sysrq-trigger; sleep 3600'], _LONG
            )
        self.assertNoticed(caught.exception, since)
        self.assertIn('Kernel panic', str(caught.exception))

    def test_killed_during_a_program(self) -> None:
        self.kill_soon()
        since = time.monotonic()
        with self.assertRaises(errors.DiedError) as caught:
            self.ssh.run(['sleep', str(_LONG)], _LONG)
        self.assertNoticed(caught.exception, since)

    def test_killed_during_a_wait_for_something_else(self) -> None:
        self.kill_soon()
        since = time.monotonic()
        with self.assertRaises(errors.DiedError) as caught:
            self.supervisor.wait('a guest', lambda: None, _LONG)
        self.assertNoticed(caught.exception, since)
