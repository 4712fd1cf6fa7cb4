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

import pathlib

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


class ConsoleTest(base.TestCase):
    def setUp(self):
        super().setUp()
        opts.register(nova.conf.CONF)
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.useFixture(fixture.Config(nova.conf.CONF)).config(
            xen_console_log_dir=self.folder, group='isolation'
        )
        self.log = pathlib.Path(self.folder, 'guest-instance-1.log')
        for name, answer in (
            ('_get_console_output_file', lambda _, i, path: f'of {path}'),
            ('get_console_output', lambda _, c, i: 'of Nova'),
            ('cleanup', lambda _, c, i, n, **more: None),
        ):
            self.useFixture(
                fixtures.MockPatchObject(
                    libvirt_driver.LibvirtDriver, name, answer
                )
            )
        self.emptied = []
        self.useFixture(
            fixtures.MockPatch(
                'nova.privsep.path.writefile',
                lambda *arguments: self.emptied.append(arguments),
            )
        )
        self.driver = console.XenConsole.__new__(console.XenConsole)

    def output(self):
        return self.driver.get_console_output(None, Instance)

    def test_what_xenconsoled_kept(self):
        self.log.write_text('hello')
        self.assertEqual(f'of {self.log}', self.output())

    def test_nothing_was_kept(self):
        self.assertEqual('of Nova', self.output())
        self.log.touch()
        self.assertEqual('of Nova', self.output())

    def test_an_older_guest_of_the_name_is_forgotten(self):
        console.forget('instance-1')
        self.assertEqual([], self.emptied)
        self.log.write_text('of another guest')
        console.forget('instance-1')
        self.assertEqual([(str(self.log), 'w', '')], self.emptied)

    def test_that_of_a_deleted_guest_is_forgotten(self):
        self.log.write_text('of this guest')
        self.driver.cleanup(None, Instance, [], destroy_disks=False)
        self.assertEqual([], self.emptied)
        self.driver.cleanup(None, Instance, [])
        self.assertEqual([(str(self.log), 'w', '')], self.emptied)
