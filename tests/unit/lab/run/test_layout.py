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

"""A lab removes its own folder and no other."""

from pathlib import Path
import stat
import tempfile
import unittest

from lab.run import errors
from lab.run import layout


class LayoutTest(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.state = Path(folder.name) / 'state'
        self.layout = layout.Layout(self.state)

    def test_the_checkout_is_this_one(self) -> None:
        self.assertEqual(Path(__file__).resolve().parents[4], layout.CHECKOUT)
        self.assertTrue((layout.CHECKOUT / 'lab' / 'database').is_dir())

    def test_a_new_folder_is_private(self) -> None:
        self.layout.make()
        self.assertTrue(self.layout.exists())
        self.assertEqual(0o700, stat.S_IMODE(self.state.stat().st_mode))
        for folder in (self.layout.etc, self.layout.log, self.layout.run):
            self.assertTrue(folder.is_dir())

    def test_the_folder_of_an_old_lab_is_emptied(self) -> None:
        self.layout.make()
        (self.layout.log / 'old').touch()
        self.layout.make()
        self.assertEqual([], list(self.layout.log.iterdir()))

    def test_a_folder_of_somebody_else_is_left_alone(self) -> None:
        self.state.mkdir()
        (self.state / 'thesis').touch()
        with self.assertRaisesRegex(errors.LabError, 'not empty'):
            self.layout.make()
        self.assertEqual(['thesis'], [p.name for p in self.state.iterdir()])

    def test_a_path_too_long_for_a_socket(self) -> None:
        long = layout.Layout(self.state / ('x' * 80))
        with self.assertRaisesRegex(errors.LabError, 'too long'):
            long.make()
        self.assertFalse(long.state.exists())

    def test_a_written_file_is_private(self) -> None:
        path = layout.write(self.state / 'new' / 'secret', 'a')
        self.assertEqual(0o600, stat.S_IMODE(path.stat().st_mode))
        layout.write(path, 'b')
        self.assertEqual('b', path.read_text('utf-8'))
