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

"""What is read with privileges, and what never is."""

import os
from unittest import mock

import fixtures as base_fixtures
from oslotest import base as oslo_base

from nova_isolation.host import privileged
from nova_isolation.probes import program

DENIED = PermissionError('denied')


class PrivilegedTest(oslo_base.BaseTestCase):
    """The entry points run here, without their daemon."""

    def setUp(self):
        super().setUp()
        self.useFixture(
            base_fixtures.MockPatchObject(
                privileged.context, 'client_mode', False
            )
        )
        self.as_root = self.useFixture(
            base_fixtures.MockPatchObject(
                privileged, '_read_as_root', wraps=privileged._read_as_root
            )
        ).mock
        self.folder = self.useFixture(base_fixtures.TempDir()).path

    def file(self, name, text='text'):
        path = os.path.join(self.folder, name)
        with open(path, 'w') as stream:
            stream.write(text)
        return path

    def denied_once(self):
        """The first attempt at a file is denied."""
        original = privileged._read
        answers = iter([DENIED])

        def read(path, *args):
            for error in answers:
                raise error
            return original(path, *args)

        return mock.patch.object(privileged, '_read', read)

    def test_without_privileges(self):
        self.assertEqual('text', privileged.read(self.file('any')))
        self.assertRaises(
            FileNotFoundError, privileged.read, self.folder + '/x.pid'
        )
        self.assertRaises(IsADirectoryError, privileged.read, self.folder)
        self.as_root.assert_not_called()

    def test_files_of_libvirt(self):
        path = self.file('instance-00000001.pid')
        with self.denied_once():
            self.assertEqual('text', privileged.read(path))
        self.as_root.assert_called_with(path)

    def test_other_files(self):
        for path in (
            self.file('shadow'),
            self.file('qemu.conf'),
            self.file('x.pid.orig'),
            self.file('pid'),
            '/proc/1/attr/current',
            '/proc/1/environ',
            '/etc/../etc/shadow',
        ):
            with mock.patch.object(privileged, '_read', side_effect=DENIED):
                self.assertRaises(PermissionError, privileged.read, path)
        self.as_root.assert_not_called()
        # Nor does the daemon do it when it is asked.
        self.assertRaises(
            PermissionError, privileged._read_as_root, self.file('shadow')
        )

    def test_links_to_other_files(self):
        path = os.path.join(self.folder, 'x.pid')
        os.symlink(self.file('shadow'), path)
        self.assertEqual('text', privileged.read(path))
        with self.denied_once():
            self.assertRaises(OSError, privileged.read, path)

    def test_executable(self):
        mine = program.identity('/proc/self/exe')
        self.assertEqual(mine, privileged.executable(os.getpid()))
        with mock.patch.object(
            program, 'identity', side_effect=[DENIED, mine]
        ) as identity:
            found = privileged.executable(7)
        self.assertIsInstance(found, program.Identity)
        self.assertEqual(mine, found)
        self.assertEqual(mock.call('/proc/7/exe'), identity.mock_calls[0])
        self.assertRegex(
            identity.mock_calls[1].args[0], '^/proc/self/fd/[0-9]+/7/exe$'
        )

    def test_executable_that_cannot_be_had(self):
        for error in (FileNotFoundError, ProcessLookupError):
            with mock.patch.object(
                program, 'identity', side_effect=[DENIED, error]
            ):
                self.assertRaises(error, privileged.executable, 7)
        for pid in ('1/../2', '7 8', ''):
            self.assertRaises(ValueError, privileged.executable, pid)
