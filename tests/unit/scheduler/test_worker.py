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

"""Tests of nova_isolation.scheduler.worker, in workers of oslo.service."""

import re

import ddt

from tests.unit import base
from tests.unit import modes

# nova-scheduler: Nova's manager with our filter, made before the workers are
# forked by oslo.service. Each worker reports how often it has asked for the
# attestation of the hosts, and whether its filter knows the answer.
_SCHEDULER = """
import os, signal, socket, sys, threading, time
from unittest import mock
from oslo_config import cfg
from oslo_service import service
from nova.scheduler import manager
from nova_isolation.attestation import refresher, snapshot
from nova_isolation.attestation import service as attestation
from nova_isolation.scheduler import filter as isolation_filter

asked = []
ours, theirs = socket.socketpair()

class Provider:
    pause = 0.05

    def fetch(self, before):
        asked.append(os.getpid())
        return snapshot.Snapshot()

    def close(self):
        pass

def make(conf):
    return refresher.Refresher(Provider(), max_age=60, clock_skew=5)

with mock.patch.object(attestation, 'make', make):
    the_filter = isolation_filter.IsolationFilter()

class Worker(service.ServiceBase):
    def start(self):
        manager.SchedulerManager.post_start_hook(
            object.__new__(manager.SchedulerManager))
        threading.Thread(target=self.report, daemon=True).start()

    def report(self):
        until = time.monotonic() + 60
        while asked.count(os.getpid()) < 3 and time.monotonic() < until:
            time.sleep(0.05)
        known = the_filter.attestation.statements('host', 'node')
        os.write(1, b'worker %d %d %s\\n' % (
            os.getpid(), min(asked.count(os.getpid()), 3),
            b','.join(map(str.encode, known))))
        theirs.send(b'x')

    def stop(self):
        pass

    wait = reset = stop

parent = os.getpid()
launcher = service.launch(cfg.CONF, Worker(), workers=int(sys.argv[1]))

def end():
    for _ in range(int(sys.argv[1])):
        ours.recv(1)
    os.write(1, b'parent %d\\n' % asked.count(parent))
    os.kill(parent, signal.SIGTERM)

threading.Thread(target=end, daemon=True).start()
launcher.wait()
"""


@ddt.ddt
class WorkerTest(base.TestCase):
    """Each worker asks for itself."""

    @ddt.data(*modes.MODES)
    def test_two_workers(self, mode):
        output = modes.run(mode, _SCHEDULER, '2')
        found = re.findall(r'^worker (\d+) (\d+) (.*)$', output, re.M)
        self.assertEqual(2, len({pid for pid, _, _ in found}), output)
        self.assertEqual(
            [('3', 'attested')] * 2, [tuple(rest) for _, *rest in found]
        )
        # What the parent asks for would be of no use to anybody.
        self.assertIn('\nparent 0\n', output)

    @ddt.data(*modes.MODES)
    def test_one_process(self, mode):
        """Where one worker is wanted, oslo.service may not fork."""
        output = modes.run(mode, _SCHEDULER, '1')
        self.assertEqual(
            1, len(re.findall(r'^worker \d+ 3 attested$', output, re.M))
        )
