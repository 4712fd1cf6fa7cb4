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

"""The supervisor finds, waits for and ends what it started, nothing else."""

import dataclasses
import os
from pathlib import Path
import signal
import tempfile
import threading
import time
import unittest

from lab.run import errors
from lab.run import layout
from lab.run import processes
from lab.run import records
from lab.run import supervisor as supervisors

_SECONDS = 20


class SupervisorTest(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.layout = layout.Layout(Path(folder.name) / 'state')
        self.layout.make()
        self.supervisor = supervisors.Supervisor(self.layout)
        self.addCleanup(self._end)

    def _end(self) -> None:
        self.supervisor.stop(list(self.supervisor.daemons()), 0)
        self.assertEqual({}, processes.belonging(self.layout))

    def start(self, script: str) -> records.Daemon:
        """Start a shell that has set itself up once it has said "ready"."""
        daemon = self.supervisor.start('daemon', ['sh', '-c', script])
        self.supervisor.wait(
            'the shell',
            lambda: 'ready' in self.supervisor.log('daemon').read_text(),
            _SECONDS,
            daemon,
        )
        return daemon

    def test_another_supervisor_finds_the_daemon(self) -> None:
        daemon = self.start('echo ready; exec sleep 600')
        other = supervisors.Supervisor(self.layout)
        self.assertEqual({'daemon': daemon}, other.daemons())
        self.assertIn(daemon.pid, processes.belonging(self.layout))

    def test_a_daemon_that_ends_when_asked(self) -> None:
        daemon = self.start('echo ready; exec sleep 600')
        self.supervisor.stop(['daemon'], _SECONDS)
        self.assertFalse(daemon.alive())
        self.assertEqual({}, self.supervisor.daemons())

    def test_a_daemon_that_does_not_end_when_asked(self) -> None:
        # An ignored signal stays ignored by the program that is executed.
        daemon = self.start('trap "" TERM; echo ready; exec sleep 600')
        self.supervisor.stop(['daemon'], 0.2)
        self.assertFalse(daemon.alive())

    def test_a_process_id_that_is_used_again(self) -> None:
        daemon = self.start('echo ready; exec sleep 600')
        other = dataclasses.replace(daemon, ticks=(daemon.ticks or 0) + 1)
        self.assertTrue(daemon.alive())
        self.assertFalse(other.alive())

    def test_a_wait_ends_when_the_daemon_has_died(self) -> None:
        daemon = self.supervisor.start(
            'daemon', ['sh', '-c', 'echo out of memory; exit 3']
        )
        with self.assertRaises(errors.LabError) as caught:
            self.supervisor.wait('a port', lambda: None, 600, daemon)
        self.assertIn('daemon', str(caught.exception))
        self.assertIn('out of memory', str(caught.exception))

    def test_a_wait_ends_when_another_daemon_has_died(self) -> None:
        other = self.start('echo ready; exec sleep 600')
        awaited = self.supervisor.start('awaited', ['sleep', '600'])
        begin = time.monotonic()

        def kill() -> None:
            if time.monotonic() > begin + 0.5 and other.alive():
                os.kill(other.pid, signal.SIGKILL)

        with self.assertRaises(errors.DiedError) as caught:
            self.supervisor.wait('a port', kill, 600, awaited)
        self.assertLess(time.monotonic() - begin, _SECONDS)
        self.assertEqual(('daemon',), caught.exception.daemons)
        self.assertIn('daemon died', str(caught.exception))
        self.assertIn('ready', str(caught.exception))

    def test_what_a_dead_daemon_takes_with_it_is_named_too(self) -> None:
        first = self.start('echo ready; exec sleep 600')
        second = self.supervisor.start(
            'client',
            [
                'sh',
                '-c',
                f'while [ -d /proc/{first.pid} ]; do sleep 0.1; done',
            ],
        )
        os.kill(first.pid, signal.SIGKILL)
        # Nobody reaps it otherwise.
        self.supervisor._children[first.pid].wait()
        with self.assertRaises(errors.DiedError) as caught:
            self.supervisor.check('a port')
        self.assertFalse(second.alive())
        self.assertEqual(('client', 'daemon'), caught.exception.daemons)

    def test_the_failure_of_a_test_is_explained_by_the_death(self) -> None:
        daemon = self.start('echo ready; exec sleep 600')

        def refused() -> None:
            os.kill(daemon.pid, signal.SIGKILL)
            raise ConnectionRefusedError

        with self.assertRaises(errors.DiedError) as caught:
            self.supervisor.wait('a port', refused, 600)
        self.assertIsInstance(
            caught.exception.__context__, ConnectionRefusedError
        )

    def test_the_failure_of_a_test_when_everything_runs(self) -> None:
        self.start('echo ready; exec sleep 600')

        def refused() -> None:
            raise ConnectionRefusedError

        with self.assertRaises(ConnectionRefusedError):
            self.supervisor.wait('a port', refused, 600)

    def test_a_daemon_that_ends_by_itself_has_not_died(self) -> None:
        daemon = self.supervisor.start('daemon', ['true'], ends=True)
        self.supervisor.wait(
            'its end', lambda: not daemon.alive(), _SECONDS, every=0.01
        )
        self.supervisor.check()

    def test_a_daemon_that_was_stopped_or_killed_has_not_died(self) -> None:
        daemon = self.start('trap "" TERM; echo ready; exec sleep 600')
        self.supervisor.kill('daemon')
        self.assertFalse(daemon.alive())
        self.supervisor.check()
        self.start('echo ready; exec sleep 600')
        self.supervisor.stop(['daemon'], _SECONDS)
        self.supervisor.check()

    def test_daemons_that_are_stopped_while_others_wait(self) -> None:
        names = [f'daemon-{number}' for number in range(20)]
        for name in names:
            self.supervisor.start(name, ['sleep', '600'])
        stopper = threading.Thread(
            target=lambda: [
                self.supervisor.stop([name], _SECONDS) for name in names
            ]
        )
        stopper.start()
        while stopper.is_alive():
            self.assertEqual([], self.supervisor._records.dead())
        stopper.join()

    def test_a_wait_says_what_it_found_instead(self) -> None:
        with self.assertRaisesRegex(errors.LabError, 'a port; found nothing'):
            self.supervisor.wait(
                'a port', lambda: None, 0.05, instead=lambda: 'nothing'
            )

    def test_a_wait_has_an_end(self) -> None:
        with self.assertRaisesRegex(errors.LabError, 'a port'):
            self.supervisor.wait('a port', lambda: None, 0.05, every=0.01)

    def test_a_wait_returns_what_it_waited_for(self) -> None:
        found = iter((None, '', 'there'))
        self.assertEqual(
            'there',
            self.supervisor.wait(
                'it', lambda: next(found), _SECONDS, every=0.01
            ),
        )

    def test_a_program_that_fails(self) -> None:
        with self.assertRaises(errors.LabError) as caught:
            self.supervisor.run(
                'step', ['sh', '-c', 'echo no table; exit 4'], _SECONDS
            )
        self.assertIn('step', str(caught.exception))
        self.assertIn('4', str(caught.exception))
        self.assertIn('no table', str(caught.exception))
        self.assertEqual({}, self.supervisor.daemons())

    def test_a_program_that_does_not_end(self) -> None:
        with self.assertRaisesRegex(errors.LabError, 'step'):
            self.supervisor.run('step', ['sleep', '600'], 0.2)
        self.assertEqual({}, processes.belonging(self.layout))
