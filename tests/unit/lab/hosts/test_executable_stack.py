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

"""A copy of a binary differs in one flag."""

from pathlib import Path
import shutil
import subprocess
import sys
import tempfile
import unittest

from lab.hosts import executable_stack
from lab.run import errors

_BINARY = Path(shutil.which('true') or sys.executable)


class ExecutableStackTest(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.copy = Path(folder.name) / 'new' / 'copy'

    def test_the_copy_asks_for_it_and_runs(self) -> None:
        executable_stack.copy(_BINARY, self.copy)
        self.assertFalse(executable_stack.is_set(_BINARY))
        self.assertTrue(executable_stack.is_set(self.copy))
        subprocess.run([self.copy], check=True, timeout=20)

    def test_one_bit_differs(self) -> None:
        executable_stack.copy(_BINARY, self.copy)
        before, after = _BINARY.read_bytes(), self.copy.read_bytes()
        changed = [
            (old, new)
            for old, new in zip(before, after, strict=True)
            if old != new
        ]
        ((old, new),) = changed
        self.assertEqual(1, old ^ new)

    def test_what_is_not_a_binary(self) -> None:
        with self.assertRaisesRegex(errors.LabError, 'ELF'):
            executable_stack.is_set(Path(__file__))
