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

"""What users other than root can reach on a host in namespaces."""

from pathlib import Path
import tempfile
import unittest

from lab.hosts import namespaces


class CoversTest(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.root.chmod(0o755)

    def folder(self, name: str, mode: int = 0o755) -> Path:
        path = self.root / name
        path.mkdir(mode)
        path.chmod(mode)
        return path

    def test_nothing_to_cover(self) -> None:
        self.assertEqual({}, namespaces.covers([self.folder('a')]))

    def test_the_folder_itself_is_not_covered(self) -> None:
        self.assertEqual({}, namespaces.covers([self.folder('a', 0o700)]))

    def test_the_topmost_folder_is_covered(self) -> None:
        private = self.folder('private', 0o700)
        self.folder('private/secret', 0o710)
        venv = self.folder('private/secret/venv')
        state = self.folder('private/state')
        public = self.folder('public')
        self.assertEqual(
            {private: [venv, state]},
            namespaces.covers([venv, state, public, venv]),
        )

    def test_each_folder_is_covered(self) -> None:
        one, other = self.folder('one', 0o700), self.folder('other', 0o700)
        paths = [self.folder('one/venv'), self.folder('other/python')]
        self.assertEqual(
            {one: [paths[0]], other: [paths[1]]}, namespaces.covers(paths)
        )
