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


import contextlib
from pathlib import Path
import tempfile
import unittest
from unittest import mock

from lab import soak
from lab.machine import restore
from lab.run import errors
from lab.run import layout
from lab.run import processes


class SoakTest(unittest.TestCase):
    """What counts as a loss, on machines that are none."""

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.layout = layout.Layout(Path(folder.name) / 'state')
        self.layout.make()
        for target in (
            'lab.machine.cache.image',
            'lab.cloud.guest_image.make',
            'os.getloadavg',
        ):
            patched = mock.patch(target)
            setattr(self, target.rpartition('.')[2], patched.start())
            self.addCleanup(patched.stop)
        self.getloadavg.side_effect = [(0.0,) * 3] + [(9.0,) * 3] * 20
        self.soak = soak.Soak(self.layout, 'selinux')

    def run_soak(self, *outcomes: Exception | None) -> int:
        left = iter(outcomes)

        @contextlib.contextmanager
        def restored(*arguments):
            log = self.layout.log / f'{restore.NAME}.log'
            log.write_text('its console')
            outcome = next(left)
            if outcome is not None:
                raise outcome
            yield mock.Mock()

        with (
            mock.patch.object(restore, 'restored', restored),
            mock.patch.object(soak.Soak, '_boot'),
        ):
            return self.soak.run(len(outcomes), 2, 2, 19)

    def test_nothing_is_lost(self) -> None:
        self.assertEqual(0, self.run_soak(None, None))

    def test_a_loss_is_counted_and_its_log_kept(self) -> None:
        lost = errors.DiedError('machine died', ['machine'])
        self.assertEqual(1, self.run_soak(None, lost, None))
        self.assertEqual(
            'its console',
            (self.layout.log / 'lost-2-machine.log').read_text('utf-8'),
        )

    def test_what_makes_the_load_is_ended(self) -> None:
        with self.assertRaises(ZeroDivisionError):
            self.run_soak(ZeroDivisionError())
        self.assertEqual({}, processes.belonging(self.layout))
        self.assertTrue((self.layout.log / 'busy-1.log').exists())
