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

"""The files of a guest of Xen, which outlive its domain."""

import logging
from unittest import mock

import fixtures
from nova import exception
from nova.virt.libvirt import driver as libvirt_driver
from nova.virt.libvirt import utils as libvirt_utils

from nova_isolation.virt.xen import instance_files
from tests.unit import base


class Instance:
    """Nova's instance."""

    name = 'instance-1'
    uuid = 'of-the-instance'


class InstanceFilesTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.calls = []
        self.useFixture(
            fixtures.MockPatchObject(
                libvirt_driver.LibvirtDriver,
                'delete_instance_files',
                lambda *_: self.calls.append('delete') or self.deleted,
            )
        )
        self.deleted = True
        self.useFixture(
            fixtures.MockPatchObject(
                libvirt_utils, 'get_instance_path', return_value='/i/1'
            )
        )
        self.log = self.useFixture(
            fixtures.FakeLogger(instance_files.__name__, logging.WARNING)
        )
        self.files = instance_files.XenInstanceFiles.__new__(
            instance_files.XenInstanceFiles
        )
        self.files._host = mock.Mock()
        self.guest = self.files._host.get_guest.return_value
        self.guest.is_active.return_value = 0
        self.guest.poweroff.side_effect = lambda: self.calls.append('off')

    def assertDeleted(self, *calls):
        self.assertIs(True, self.files.delete_instance_files(Instance))
        self.assertEqual([*calls, 'delete'], self.calls)
        self.files._host.get_guest.assert_called_with(Instance)
        self.assertEqual('', self.log.output)

    def assertKept(self, error):
        self.assertIs(False, self.files.delete_instance_files(Instance))
        self.assertEqual([], self.calls)
        for word in ('instance-1', f'has ended: {error}.', '/i/1'):
            self.assertIn(word, self.log.output)

    def test_no_domain(self):
        self.files._host.get_guest.side_effect = exception.InstanceNotFound(
            instance_id=Instance.uuid
        )
        self.assertDeleted()

    def test_off(self):
        self.assertDeleted()

    def test_runs_or_is_paused(self):
        self.guest.is_active.return_value = 1
        self.assertDeleted('off')

    def test_what_nova_cannot_delete(self):
        self.deleted = False
        self.assertIs(False, self.files.delete_instance_files(Instance))

    def test_libvirt_is_away(self):
        error = exception.HypervisorUnavailable(host='cpu')
        self.files._host.get_guest.side_effect = error
        self.assertKept(error)

    def test_libvirt_goes_away(self):
        error = OSError('client socket is closed')
        self.guest.is_active.side_effect = error
        self.assertKept(error)

    def test_cannot_be_powered_off(self):
        self.guest.is_active.return_value = 1
        self.guest.poweroff.side_effect = OSError('timeout')
        self.assertKept('timeout')

    def test_ends_by_itself_when_it_is_powered_off(self):
        self.guest.is_active.side_effect = [1, 0]
        self.guest.poweroff.side_effect = OSError('domain is not running')
        self.assertDeleted()

    def test_is_gone_when_it_is_powered_off(self):
        self.files._host.get_guest.side_effect = [
            mock.Mock(is_active=lambda: 1),
            exception.InstanceNotFound(instance_id=Instance.uuid),
            exception.InstanceNotFound(instance_id=Instance.uuid),
        ]
        self.assertDeleted()
