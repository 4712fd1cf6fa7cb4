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

"""The privileged helper: real commands that fail, hang, die or work."""

import os
from pathlib import Path
import signal
import sys
import time
import types
from unittest import mock

import fixtures
from oslo_config import cfg
from oslo_privsep import daemon
from oslo_privsep import priv_context

from nova_isolation.host import privileged_helper
from nova_isolation.model import reasons
from nova_isolation.model import sight
from tests.unit import base
from tests.unit.host import examine

ROOT = Path(__file__).parents[3]

CONTEXT = priv_context.PrivContext(
    __name__,
    cfg_section='test_privileged_helper',
    pypath=__name__ + '.CONTEXT',
    capabilities=[],
)


@CONTEXT.entrypoint
def answer(text):
    """What the helper does; also raises what it is told."""
    if text == 'denied':
        raise PermissionError(13, 'denied')
    return f'{text} {os.getpid()}'


class HelperTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.now = 1000.0
        for name, value in (
            ('time', types.SimpleNamespace(monotonic=lambda: self.now)),
            ('_START', 60.0),
        ):
            self.useFixture(
                fixtures.MockPatchObject(privileged_helper, name, value)
            )
        self.useFixture(fixtures.EnvironmentVariable('PYTHONPATH', str(ROOT)))
        self.log = self.useFixture(fixtures.FakeLogger(level=20))
        self.folder = Path(self.useFixture(fixtures.TempDir()).path)
        self.starts = self.folder / 'starts'
        self.starts.touch()
        configuration = self.folder / 'helper.conf'
        configuration.touch()
        self.works = (
            f'{Path(sys.executable).parent}/privsep-helper --config-file '
            f'{configuration}'
        )
        self.addCleanup(self.end)
        self.helper = privileged_helper.Helper(CONTEXT)

    def end(self):
        channel, CONTEXT.channel = CONTEXT.channel, None
        if channel is not None:
            channel.close()

    def command(self, text):
        """The command of the helper, from now on; counts its starts."""
        script = self.folder / 'command'
        script.write_text(f'#!/bin/sh\necho >> {self.starts}\n{text}\n')
        script.chmod(0o755)
        cfg.CONF.set_override(
            'helper_command', str(script), group=CONTEXT.cfg_section
        )
        self.addCleanup(
            cfg.CONF.clear_override,
            'helper_command',
            group=CONTEXT.cfg_section,
        )

    @property
    def started(self):
        """How often the command was started."""
        return len(self.starts.read_text())

    def call(self):
        return self.helper.call(answer, 'x')

    def unseen(self, reason):
        """The call says that there is no helper."""
        error = self.assertRaises(sight.Unseen, self.call)
        self.assertIs(reason, error.reason)
        return str(error)

    def lines(self, text):
        return [one for one in self.log.output.splitlines() if text in one]

    def test_works(self):
        self.command(f'exec {self.works} "$@"')
        self.assertRegex(self.call(), '^x [0-9]+$')
        self.assertEqual(self.call(), self.call())
        self.assertEqual(1, self.started)
        # Errors are those of the entry point, and no loss.
        error = self.assertRaises(
            PermissionError, self.helper.call, answer, 'denied'
        )
        self.assertNotIsInstance(error, sight.Unseen)
        self.assertEqual(1, self.started)
        self.assertEqual([], self.lines('has no privileged helper'))

    def test_cannot_be_started(self):
        self.command('echo "sudo: a password is required" >&2; exit 1')
        for _ in range(20):
            self.assertIn(
                'sudo: a password is required',
                self.unseen(reasons.NO_HELPER),
            )
        self.assertEqual(1, self.started)
        # In five minutes, where somebody asks every second.
        for _ in range(300):
            self.now += 1
            self.unseen(reasons.NO_HELPER)
        self.assertLessEqual(self.started, 16)
        self.assertEqual(1, len(self.lines('has no privileged helper')))
        for noise in ('exited non-zero', 'Running privsep', 'privsep log'):
            self.assertEqual([], self.lines(noise))

    def test_another_cause_is_told(self):
        self.command('echo "no password" >&2; exit 1')
        self.unseen(reasons.NO_HELPER)
        self.command('echo "Unauthorized $*" >&2; exit 99')
        for _ in range(3):
            self.now += 31
            self.unseen(reasons.NO_HELPER)
        # The path of the socket differs each time.
        self.assertEqual(2, len(self.lines('has no privileged helper')))

    def test_mended(self):
        self.command('exit 1')
        for _ in range(10):
            self.now += 31
            self.unseen(reasons.NO_HELPER)
        self.command(f'exec {self.works} "$@"')
        # Within a turn of the periodic measurement.
        self.now += 31
        self.assertTrue(self.call())
        self.assertEqual(1, len(self.lines('runs again')))

    def test_no_such_command(self):
        cfg.CONF.set_override(
            'helper_command', '/no/such/sudo', group=CONTEXT.cfg_section
        )
        self.addCleanup(
            cfg.CONF.clear_override,
            'helper_command',
            group=CONTEXT.cfg_section,
        )
        self.assertIn('/no/such/sudo', self.unseen(reasons.NO_HELPER))

    def test_start_that_hangs(self):
        self.command(f'echo $$ > {self.folder}/pid; exec sleep 600')
        with mock.patch.object(privileged_helper, '_START', 0.3):
            helper = privileged_helper.Helper(CONTEXT)
        begun = time.monotonic()
        for _ in range(5):
            error = self.assertRaises(sight.Unseen, helper.call, answer, 'x')
            self.assertIs(reasons.NO_HELPER, error.reason)
        self.assertLess(time.monotonic() - begun, 5)
        self.assertEqual(1, self.started)
        # It goes on as soon as the start has ended.
        os.kill(int((self.folder / 'pid').read_text()), signal.SIGKILL)
        with CONTEXT.start_lock:
            self.command(f'exec {self.works} "$@"')
        self.now += 31
        self.assertTrue(self.helper.call(answer, 'x'))

    def test_killed(self):
        self.command(f'exec {self.works} "$@"')
        first = self.call()
        self.now += 61
        self.kill()
        # It is started again at once, and nobody notices.
        second = self.call()
        self.assertNotEqual(first, second)
        self.assertEqual([], self.lines('has no privileged helper'))

    def test_killed_again_and_again(self):
        self.command(f'exec {self.works} "$@"')
        self.call()
        self.kill()
        self.unseen(reasons.HELPER_LOST)
        self.assertEqual(1, self.started)
        self.now += 2
        self.assertTrue(self.call())
        self.kill()
        self.now += 1.5
        self.unseen(reasons.HELPER_LOST)
        self.now += 1
        self.assertTrue(self.call())
        self.assertEqual(3, self.started)

    def test_does_not_answer(self):
        self.command(f'exec {self.works} "$@"')
        helper = self.helper
        first = helper.call(answer, 'x')
        (pid,) = examine.helpers(self.works)
        os.kill(pid, signal.SIGSTOP)
        self.addCleanup(os.kill, pid, signal.SIGCONT)
        begun = time.monotonic()
        self.assertRaises(TimeoutError, helper.call, answer, 'x', seconds=0.5)
        self.assertLess(time.monotonic() - begun, 5)
        os.kill(pid, signal.SIGCONT)
        deadline = time.monotonic() + 30
        while True:
            try:
                self.assertEqual(first, helper.call(answer, 'x'))
                break
            except TimeoutError:
                self.assertLess(time.monotonic(), deadline)

    def test_lines_about_other_helpers(self):
        self.command('exit 1')
        self.unseen(reasons.NO_HELPER)
        daemon.LOG.critical('another helper exited')
        self.assertEqual(1, len(self.lines('another helper exited')))
        self.assertEqual([], daemon.LOG.logger.filters)

    def kill(self):
        """Kill the helper, and wait until its end was seen."""
        for pid in examine.helpers(self.works):
            os.kill(pid, signal.SIGKILL)
        while CONTEXT.channel.running:
            time.sleep(0.01)
