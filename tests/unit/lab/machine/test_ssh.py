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


from pathlib import Path
import subprocess
import unittest
from unittest import mock

from lab.machine import confined
from lab.machine import ssh
from lab.run import errors
from lab.run import supervisor


def _result(code: int) -> 'subprocess.CompletedProcess[str]':
    return subprocess.CompletedProcess([], code, '', 'ssh: no')


class SshTest(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.supervisor = mock.create_autospec(
            supervisor.Supervisor, instance=True
        )
        folder = Path('/nonexistent')
        self.ssh = ssh.Ssh(
            self.supervisor, confined.Image(folder), 'name', 1, folder
        )

    def test_a_login_that_takes_too_long_is_tried_again(self) -> None:
        self.supervisor.output.side_effect = [
            errors.LabError('ssh has not ended after 300 s'),
            _result(255),
            _result(0),
        ]
        self.assertEqual(
            [False, False, True], [self.ssh._accepted() for _ in range(3)]
        )

    def test_the_machine_died_under_a_program(self) -> None:
        self.supervisor.output.return_value = _result(255)
        self.supervisor.check.side_effect = errors.DiedError('x', ['machine'])
        with self.assertRaises(errors.DiedError):
            self.ssh.run(['true'])

    def test_the_machine_died_and_ssh_did_not_notice(self) -> None:
        self.supervisor.output.side_effect = errors.LabError('not ended')
        self.supervisor.check.side_effect = errors.DiedError('x', ['machine'])
        with self.assertRaises(errors.DiedError):
            self.ssh.run(['true'])

    def test_a_program_that_fails_is_no_death(self) -> None:
        self.supervisor.output.return_value = _result(1)
        self.assertEqual(1, self.ssh.run(['false']).returncode)
        with self.assertRaisesRegex(errors.LabError, 'false failed'):
            self.ssh.check(['false'])
        self.supervisor.check.assert_not_called()
