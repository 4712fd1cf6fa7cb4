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

"""When a process has ended."""

import os
import pathlib
import signal
import subprocess
import sys
import time

from lab.run import processes
from tests.unit import base

#: Its main thread ends by the system call that ends no other thread.
_LEADER_ENDS = """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
print("", flush=True)
ctypes.CDLL(None).syscall(60, 0)
"""


class StartTicksTest(base.TestCase):
    def start(self, program):
        child = subprocess.Popen(
            [sys.executable, '-c', program], stdout=subprocess.PIPE
        )
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        child.stdout.readline()
        return child

    def wait_state(self, pid, state):
        stat = pathlib.Path(f'/proc/{pid}/stat')
        end = time.monotonic() + 60
        while stat.read_text().rpartition(')')[2].split()[0] != state:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)

    def test_runs(self):
        self.assertLess(0, processes.start_ticks(os.getpid()))

    def test_zombie(self):
        child = self.start('')
        self.wait_state(child.pid, 'Z')
        self.assertIsNone(processes.start_ticks(child.pid))

    def test_gone(self):
        child = self.start('')
        child.wait()
        self.assertIsNone(processes.start_ticks(child.pid))

    def test_main_thread_has_ended_alone(self):
        child = self.start(_LEADER_ENDS)
        self.wait_state(child.pid, 'Z')
        self.assertLess(0, processes.start_ticks(child.pid))
        child.send_signal(signal.SIGKILL)
        child.wait()
        self.assertIsNone(processes.start_ticks(child.pid))
