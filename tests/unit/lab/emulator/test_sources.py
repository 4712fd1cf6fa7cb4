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

"""Tests of lab.emulator.sources."""

from pathlib import Path
import subprocess
import unittest
from unittest import mock

from lab.emulator import sources
from lab.run import errors
from nova_isolation.mechanisms.qemu import build_script

_BINDEP = Path(__file__).parents[4] / 'bindep.txt'


class VersionTest(unittest.TestCase):
    """The version of the installed QEMU."""

    def supervisor(self, status: int, out: str) -> mock.Mock:
        return mock.Mock(
            **{
                'output.return_value': subprocess.CompletedProcess(
                    [], status, out, 'no such package'
                )
            }
        )

    def test_version(self) -> None:
        for text, version, release in (
            ('1:7.2+dfsg-7+deb12u18', '7.2+dfsg-7+deb12u18', '7.2'),
            ('1:10.0.13+ds-0+deb13u1', '10.0.13+ds-0+deb13u1', '10.0'),
        ):
            found = sources.version(self.supervisor(0, text))
            self.assertEqual(version, found)
            self.assertEqual(release, sources.release(found))

    def test_no_package(self) -> None:
        for status, text in ((1, ''), (0, '')):
            with self.assertRaisesRegex(errors.LabError, 'no such package'):
                sources.version(self.supervisor(status, text))


class PackagesTest(unittest.TestCase):
    """What the build needs."""

    def test_bindep_has_what_the_script_names(self) -> None:
        listed = {
            line.partition(' ')[0] for line in _BINDEP.read_text().split('\n')
        }
        self.assertLessEqual(set(build_script.PACKAGES), listed)
