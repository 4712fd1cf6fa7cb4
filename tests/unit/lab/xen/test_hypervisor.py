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

"""Fetching the hypervisor's source package, where apt's answers vary."""

from pathlib import Path
import subprocess
import tempfile
import time
import unittest

from lab.xen import hypervisor
from lab.xen import recipe

_INDEX = """Package: xen
Version: 4.17.5+72-g01140da4e8-1
Version: 4.17.7+13-g9bf2b0a0f8-0+deb12u1
Version: 4.20.0-1
"""
#: What apt-get does for each package: $ANSWER is run with "$package".
_APT_GET = """#!/bin/sh
for package; do :; done
echo "$package" >>"$LOG"
case $package in update) exit;; esac
%s
"""
_MADE = 'touch "xen_${package#xen=}.dsc"'


class FetchTest(unittest.TestCase):
    def fetch(
        self, answer: str, index: str = _INDEX, seconds: float = 30
    ) -> subprocess.CompletedProcess[str]:
        """Run the script with an apt that answers so."""
        root = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.folder, programs = root / 'src', root / 'bin'
        self.folder.mkdir()
        programs.mkdir()
        self.log = root / 'log'
        for name, text in (
            ('apt-get', _APT_GET % answer),
            ('apt-cache', f'#!/bin/sh\ncat <<END\n{index}END\n'),
            ('dpkg-source', '#!/bin/sh\necho unpacked "$3"\n'),
        ):
            (programs / name).write_text(text, encoding='utf-8')
            (programs / name).chmod(0o755)
        return subprocess.run(
            [
                'sh',
                '-c',
                hypervisor.FETCH,
                'sh',
                recipe.SERIES,
                self.folder,
                str(seconds),
            ],
            env={'PATH': f'{programs}:/usr/bin:/bin', 'LOG': str(self.log)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def asked(self) -> list[str]:
        """The versions that apt-get was asked for."""
        lines = self.log.read_text('utf-8').splitlines()
        return [line for line in lines if line != 'update']

    def test_the_newest_of_the_series(self) -> None:
        result = self.fetch(_MADE)
        self.assertEqual(0, result.returncode, result.stderr)
        self.assertEqual(['xen=4.17.7+13-g9bf2b0a0f8-0+deb12u1'], self.asked())
        self.assertIn('unpacked', result.stderr)

    def test_an_older_one_where_the_newest_is_not_served(self) -> None:
        result = self.fetch(f'case $package in *.7+*) exit 1;; esac; {_MADE}')
        self.assertEqual(0, result.returncode, result.stderr)
        self.assertEqual(
            [
                'xen=4.17.7+13-g9bf2b0a0f8-0+deb12u1',
                'xen=4.17.5+72-g01140da4e8-1',
            ],
            self.asked(),
        )
        self.assertIn('does not serve', result.stderr)

    def test_none_comes(self) -> None:
        result = self.fetch('exit 100')
        self.assertEqual(1, result.returncode)
        last = result.stderr.splitlines()[-1]
        self.assertIn('No source package of Xen 4.17 could be fetched', last)
        for version in ('4.17.7+13', '4.17.5+72'):
            self.assertIn(version, last)
        self.assertNotIn('4.20', last)
        self.assertNotIn('unpacked', result.stderr)

    def test_the_index_has_none(self) -> None:
        result = self.fetch(_MADE, 'Version: 4.20.0-1\n')
        self.assertEqual(1, result.returncode)
        self.assertIn('index: none. Check the mirror', result.stderr)
        self.assertEqual([], self.asked())

    def test_an_archive_that_never_answers(self) -> None:
        begin = time.monotonic()
        result = self.fetch('sleep 50', seconds=0.3)
        self.assertEqual(1, result.returncode)
        self.assertLess(time.monotonic() - begin, 40)
        self.assertEqual(2, len(self.asked()))
        self.assertIn('No source package', result.stderr)
