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

"""Roads that define a domain anew, or start it again, to copy its disk."""

from unittest import mock

from lxml import etree

from tests.functional import fixtures
from tests.functional import road


class SnapshotTest(road.TestCase):
    def setUp(self):
        super().setUp()
        self.start(fixtures.Machine())
        self.server = self.boot(self.tagged())

    def snapshot(self):
        return self.act(self.server, 'createImage', {'name': 'a-snapshot'})

    def definition(self):
        """What libvirt would start next."""
        domain = self.domain(self.server)
        self.assertTrue(domain.isPersistent())
        return domain.defined

    def test_cold(self):
        self.flags(disable_libvirt_livesnapshot=True, group='workarounds')
        self.snapshot()
        server = self.settle(self.server)
        self.assertIn('managedSave', self.calls('host1'))
        self.assertVerified(server)
        # What is refused is the snapshot: the guest is not stopped for it.
        self.permissive('host1')
        server = self.snapshot()
        self.assertEqual('ACTIVE', server['status'])
        self.assertEqual(road.RUNNING, self.state(server, 'host1'))
        self.assertNotIn('managedSave', self.calls('host1'))
        self.assertRefused(
            server, 'isolation_decide', 'host1', road.NOT_ENFORCING
        )
        self.enforcing('host1')
        # What is refused only when it is started again does not run.
        self.unsandboxed('host1')
        server = self.snapshot()
        self.assertNothingRuns(server)
        self.assertRefused(
            server, 'isolation_verify', 'host1', road.NO_SANDBOX
        )
        self.assertEqual(1, self.definition().count('model="selinux"'))
        self.assertEqual({'host1'}, self.allocations(server['id']))

    def assertDefinedAnew(self, work):
        """Some work undefines the domain of a guest that runs, and defines
        it again, whatever has become of the host.
        """
        before = self.definition()
        for refuse in (lambda host: None, self.permissive):
            refuse('host1')
            count = len(self.connection('host1').defined)
            work()
            calls = self.calls('host1')
            self.assertIn('undefine', calls)
            self.assertEqual(count + 1, len(self.connection('host1').defined))
            after = self.definition()
            self.assertEqual(seclabels(before), seclabels(after))
            self.assertEqual(1, len(seclabels(after)))
            # The guest is the same that it was.
            for call in ('destroy', 'suspend', 'resume'):
                self.assertNotIn(call, calls)
            self.assertEqual(road.RUNNING, self.state(self.server, 'host1'))
        self.assertEqual([], self.faults(self.server))

    def test_live(self):
        disk = mock.patch(
            'nova.virt.libvirt.utils.find_disk',
            return_value=('/instances/disk', 'qcow2'),
        )
        qemu_img = mock.patch.multiple(
            'nova.virt.libvirt.utils',
            get_disk_backing_file=mock.DEFAULT,
            get_disk_size=mock.Mock(return_value=1),
            create_image=mock.DEFAULT,
        )
        others = mock.patch.multiple(
            'nova.virt.images',
            convert_image=mock.DEFAULT,
            qemu_img_info=mock.DEFAULT,
        )
        self.flags(
            snapshots_directory=self.useFixture(
                fixtures.fixtures.TempDir()
            ).path,
            group='libvirt',
        )
        with disk, qemu_img, others, mock.patch('nova.privsep.path.chown'):
            self.assertDefinedAnew(self.snapshot)

    def test_swap_of_a_volume(self):
        driver = self.driver('host1')
        guest = driver._host.get_guest(
            mock.Mock(uuid=self.server['id'], spec=['uuid'])
        )
        conf = mock.Mock(source_path='/dev/new')
        conf.to_xml.return_value = '<disk/>'
        self.assertDefinedAnew(
            lambda: (
                self.machines['host1'].calls.clear(),
                driver._swap_volume(guest, 'vdb', conf, 0),
            )
        )


def seclabels(xml):
    return [
        etree.tostring(one, with_tail=False)
        for one in etree.fromstring(xml).findall('seclabel')
    ]
