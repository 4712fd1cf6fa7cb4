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

"""What the scenes of all demonstrations share."""

import contextlib
import io
from types import SimpleNamespace
from typing import Any
import unittest
from unittest import mock

from lab.demo import stage
from lab.run import errors


class StageTest(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        with mock.patch('lab.guests.guests.Guests'):
            self.stage = stage.Stage(mock.Mock())
        self.cloud: Any = self.stage._cloud
        self.server = SimpleNamespace(
            id='5f', name='one', status='ACTIVE', compute_host='a', fault=None
        )
        self.wait: Any = self.stage._guests.wait_status
        self.wait.side_effect = lambda server, *_: server

    def refused(self, words: str, *call: Any) -> None:
        with self.assertRaisesRegex(errors.LabError, words):
            call[0](*call[1:])

    def test_running(self) -> None:
        found = self.stage._running(self.server, 'a', 7)
        self.assertIs(self.server, found)
        self.wait.assert_called_once_with(self.server, ('ACTIVE', 'ERROR'), 7)
        self.refused(
            'one is on b, not a', self.stage._running, self.server, 'b'
        )
        self.server.status = 'ERROR'
        self.server.fault = {'message': 'no host'}
        self.refused('no host', self.stage._running, self.server, 'a')

    def test_no_domain(self) -> None:
        here, there = mock.Mock(), mock.Mock()
        here.virsh.return_value = there.virsh.return_value = '4e\n'
        self.cloud.hosts = {'a': here, 'b': there}
        self.stage._check_no_domain(self.server)
        there.virsh.return_value = '4e\n5f\n'
        self.refused(
            'one has no domain on b',
            self.stage._check_no_domain,
            self.server,
        )

    def test_fault(self) -> None:
        self.assertEqual('None', self.stage._fault(self.server))
        self.server.fault = {'message': 'no host'}
        self.assertEqual('no host', self.stage._fault(self.server))

    def test_explanation(self) -> None:
        said = iter(['a: refused', 'a: accepted\n  by all\n'])
        self.cloud.supervisor.wait.side_effect = lambda what, ask, *_, **__: (
            ask() or ask()
        )
        with mock.patch(
            'lab.cloud.explain.explain', side_effect=lambda *_: next(said)
        ):
            text = self.stage._wait_explained('gold', 'a: accepted', 7)
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            self.stage._show_explanation('gold', text)
        self.assertEqual(
            '  $ nova-isolation-manage explain gold\n'
            '    a: accepted\n      by all\n',
            out.getvalue(),
        )
