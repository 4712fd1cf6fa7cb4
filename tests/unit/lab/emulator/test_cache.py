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

"""Tests of lab.emulator.cache, with a build that makes a file."""

import os
from pathlib import Path
import subprocess
import tempfile
import unittest
from unittest import mock

from lab.emulator import cache
from lab.emulator import sources
from lab.run import errors
from lab.run import supervisor as supervisors

_BUILD = 'mkdir -p "$2" && cp "$1/VERSION" "$2/qemu-system-x86_64"'


class CacheTest(unittest.TestCase):
    """What is kept, and when it is built."""

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.script = _BUILD
        self.version = '7.2+dfsg-7'
        for target, name, value in (
            (cache.layouts, 'cache', lambda: self.root),
            (sources, 'version', lambda _: self.version),
            (sources, 'fetch', self.fetch),
        ):
            patched = mock.patch.object(target, name, value)
            patched.start()
            self.addCleanup(patched.stop)
        self.supervisor = mock.Mock(output=self.output)
        self.progress = mock.MagicMock()
        self.fetched = 0

    def output(
        self,
        argv: list[str | Path],
        _: float,
        environment: dict[str, str],
    ) -> subprocess.CompletedProcess[str]:
        """The command "qemu recipe"."""
        self.assertIn('7.2', argv)
        folder = Path(argv[-1])
        # The command writes there; the caller's own folder stays as it is.
        self.assertEqual(str(folder.parent), environment['HOME'])
        folder.mkdir()
        (folder / 'build.sh').write_text(self.script)
        return subprocess.CompletedProcess(argv, 0, '', '')

    def fetch(self, _: supervisors.Supervisor, folder: Path) -> Path:
        self.fetched += 1
        source = folder / 'source'
        source.mkdir()
        (source / 'VERSION').write_text(str(self.fetched))
        return source

    def built(self) -> Path:
        return cache.emulator(self.supervisor, self.progress)

    def test_built_once(self) -> None:
        first = self.built()
        self.assertEqual('1', first.read_text())
        self.assertEqual(first, self.built())
        self.assertEqual(1, self.fetched)
        self.assertEqual(
            {'lock', first.parent.name},
            set(os.listdir(self.root / 'emulator')),
        )
        self.assertEqual(
            _BUILD, (first.parent / 'recipe' / 'build.sh').read_text()
        )

    def test_built_anew(self) -> None:
        paths = [self.built()]
        self.script += ' # changed'
        paths.append(self.built())
        self.version = '7.2+dfsg-8'
        paths.append(self.built())
        self.assertEqual(3, len(set(paths)))
        self.assertEqual(3, self.fetched)

    def test_a_build_that_fails_leaves_its_logs_alone(self) -> None:
        self.script = 'echo broken; exit 1'
        with self.assertRaisesRegex(errors.LabError, 'broken'):
            self.built()
        (folder,) = (self.root / 'emulator').glob('building-*')
        self.assertEqual({'log', 'run'}, set(os.listdir(folder)))
        self.script = _BUILD
        self.assertTrue(self.built().exists())
        self.assertFalse(folder.exists())

    def test_few_are_kept(self) -> None:
        for number in range(6):
            self.version = f'7.2+dfsg-{number}'
            path = self.built()
            os.utime(path.parent, (number, number))
        left = list((self.root / 'emulator').glob('*/recipe'))
        self.assertEqual(4, len(left))
        self.assertTrue(path.exists())
