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

"""The console log of a guest."""

import logging
from unittest import mock

import fixtures
import nova.conf
from nova.virt.libvirt import driver as libvirt_driver
from oslo_config import fixture

from nova_isolation import opts
from nova_isolation.virt.xen import console
from tests.unit import base


class Instance:
    """Nova's instance."""

    name = 'instance-1'
    uuid = 'of-the-instance'


class ConsoleTest(base.TestCase):
    """The files are those that root sees, and nova-compute does not."""

    def setUp(self):
        super().setUp()
        opts.register(nova.conf.CONF)
        self.useFixture(fixture.Config(nova.conf.CONF)).config(
            xen_console_log_dir='/console', group='isolation'
        )
        self.log = '/console/guest-instance-1.log'
        self.files = {}
        for name, answer in (
            ('get_console_output', lambda _, c, i: 'of Nova'),
            ('cleanup', lambda _, c, i, n, **more: None),
        ):
            self.useFixture(
                fixtures.MockPatchObject(
                    libvirt_driver.LibvirtDriver, name, answer
                )
            )
        for name, answer in (
            ('last_bytes', self.last_bytes),
            ('writefile', self.write),
        ):
            self.useFixture(
                fixtures.MockPatch(f'nova.privsep.path.{name}', answer)
            )
        self.driver = console.XenConsole.__new__(console.XenConsole)

    def last_bytes(self, path, count):
        if path not in self.files:
            raise FileNotFoundError(2, 'No such file or directory', path)
        text = self.files[path]
        return text[-count:], max(0, len(text) - count)

    def write(self, path, mode, content):
        self.assertEqual('w', mode)
        self.files[path] = content.encode()

    def output(self):
        return self.driver.get_console_output(None, Instance)

    def test_what_xenconsoled_kept(self):
        self.files[self.log] = b'hello'
        self.assertEqual(b'hello', self.output())

    def test_the_end_of_much(self):
        limit = libvirt_driver.MAX_CONSOLE_BYTES
        self.files[self.log] = b'a' + b'b' * limit
        self.assertEqual(b'b' * limit, self.output())

    def test_nothing_was_kept(self):
        self.assertEqual('of Nova', self.output())
        self.files[self.log] = b''
        self.assertEqual('of Nova', self.output())

    def test_an_older_guest_of_the_name_is_forgotten(self):
        console.forget('instance-1')
        self.assertEqual({}, self.files)
        self.files[self.log] = b'of another guest'
        console.forget('instance-1')
        self.assertEqual({self.log: b''}, self.files)

    def test_that_of_a_deleted_guest_is_forgotten(self):
        self.files[self.log] = b'of this guest'
        self.driver.cleanup(None, Instance, [], destroy_disks=False)
        self.assertEqual({self.log: b'of this guest'}, self.files)
        self.driver.cleanup(None, Instance, [])
        self.assertEqual({self.log: b''}, self.files)

    def test_deletion_where_the_file_cannot_be_emptied(self):
        logged = self.useFixture(fixtures.FakeLogger(level=logging.WARNING))
        for name in ('last_bytes', 'writefile'):
            self.files[self.log] = b'of this guest'
            error = PermissionError(13, 'Permission denied', self.log)
            with mock.patch(f'nova.privsep.path.{name}', side_effect=error):
                self.driver.cleanup(None, Instance, [])
                self.assertEqual({self.log: b'of this guest'}, self.files)
                # A new guest would show what the deleted one has written.
                self.assertRaises(
                    PermissionError, console.forget, 'instance-1'
                )
            (line,) = logged.output.splitlines()
            for words in (self.log, 'instance-1', 'Remove the file'):
                self.assertIn(words, line)
            logged.reset_output()

    def test_deletion_without_an_error(self):
        logged = self.useFixture(fixtures.FakeLogger(level=logging.WARNING))
        self.driver.cleanup(None, Instance, [])
        self.assertEqual('', logged.output)
