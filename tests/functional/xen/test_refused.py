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

"""What a guest of Xen cannot do is refused before anything is touched."""

import os
from unittest import mock

import fixtures as base_fixtures
from nova import objects
import nova.conf
from nova.objects import image_meta
from nova.tests.functional.api import client
from nova.virt.libvirt import driver as libvirt_driver
from nova.virt.libvirt.volume import volume
from oslo_utils.fixture import uuidsentinel as uuids

from nova_isolation.probes.xen import answers
from nova_isolation.virt import exception
from nova_isolation.virt.xen import refusals
from tests.functional.xen import base
from tests.functional.xen import fixtures

CONF = nova.conf.CONF


class LiveMigrationTest(base.GuestTestCase):
    def setUp(self):
        super().setUp()
        for host in ('host2', 'host3'):
            self.machines[host] = fixtures.Machine()
            self.start_compute(host)

    def migrate(self, flavor):
        server = self.boot(flavor, host='host1')
        server = self.act(
            server,
            'os-migrateLive',
            {'host': None, 'block_migration': 'auto'},
        )
        self._wait_for_migration_status(server, ['error'])
        self.assertUntouched(server)
        self.assertHost('host1', server)
        for host in ('host2', 'host3'):
            self.assertEqual([], self.connection(host).defined)

    def test_to_xen(self):
        for flavor in (self.tagged(), self.flavor()):
            self.migrate(flavor)
        self.assertTrue(
            self.logged(
                'this host runs Xen, and no guest is migrated live to it; '
                'migrate the guest cold'
            )
        )

    def test_from_xen(self):
        # Another driver is there, which would take the guest.
        there = mock.patch.object(
            refusals.RefusingDriver,
            'check_can_live_migrate_destination',
            libvirt_driver.LibvirtDriver.check_can_live_migrate_destination,
        )
        with there:
            self.migrate(self.tagged())
        self.assertTrue(
            self.logged(
                'this guest runs on Xen, and is not migrated live from '
                'there; migrate the guest cold'
            )
        )


class VolumeTest(base.GuestTestCase):
    def setUp(self):
        super().setUp()
        self.server = self.boot(self.tagged())
        self.volume = self.cinder.SWAP_OLD_VOL
        self.attach_volume(self.server, self.volume)
        self.machine.calls.clear()

    def assertRefusedFor(self, reason):
        self._wait_for_assert(
            lambda: self.assertTrue(self.logged(reason)), max_retries=200
        )
        self.assertUntouched(self.server)

    def test_swap(self):
        self.api.put_server_volume(
            self.server['id'], self.volume, self.cinder.SWAP_NEW_VOL
        )
        self.assertRefusedFor('Xen does not swap the volume of a guest')

    def test_extend(self):
        self.api.create_server_external_events(
            [
                {
                    'name': 'volume-extended',
                    'server_uuid': self.server['id'],
                    'tag': self.volume,
                }
            ]
        )
        self.assertRefusedFor('Volume size extension is not supported')

    def test_snapshot(self):
        # Cinder asks for it, for volumes of some drivers.
        self.api.api_post(
            '/os-assisted-volume-snapshots',
            {
                'snapshot': {
                    'volume_id': self.volume,
                    'create_info': {
                        # Nova 31 puts it into its answer, as a UUID.
                        'id': uuids.snapshot,
                        'snapshot_id': 's',
                        'type': 'qcow2',
                        'new_file': 'n',
                    },
                }
            },
        )
        self.assertRefusedFor('Xen makes no snapshot of a volume of a guest')


class AttachTest(base.GuestTestCase):
    """A volume that a guest cannot have is refused before it is attached."""

    def setUp(self):
        super().setUp()
        self.machine.devices = (answers.Device('vbd', '51712', 0, 'vbd', 4),)
        # Nova's harness has it in the network.
        self.volume = self.cinder.IMAGE_BACKED_VOL

    def attach(self, server):
        """Ask for the volume, and wait until Nova is through with that."""
        self.machine.calls.clear()
        before = self.newest_request(server)
        self.api.post_server_volume(
            server['id'], {'volumeAttachment': {'volumeId': self.volume}}
        )
        # The answer may come before there is an action; and Nova is through
        # with the name of the device before it begins.
        self._wait_for_assert(
            lambda: self.assert_begun(server, before), max_retries=600
        )
        self.settle(server)

    def newest_request(self, server):
        actions = self.api.get_instance_actions(server['id'])
        return actions[0]['request_id']

    def assert_begun(self, server, before):
        self.assertNotEqual(before, self.newest_request(server))
        events = [event['event'] for event in self.newest(server)]
        self.assertIn('compute_attach_volume', events)

    def block_device(self):
        """The volume is a block device of dom0."""
        found = volume.LibvirtFakeVolumeDriver.get_config

        def get_config(driver, connection_info, disk_info):
            conf = found(driver, connection_info, disk_info)
            conf.source_type, conf.source_path = 'block', '/dev/sdx'
            return conf

        self.useFixture(
            base_fixtures.MonkeyPatch(
                'nova.virt.libvirt.volume.volume.LibvirtFakeVolumeDriver'
                '.get_config',
                get_config,
            )
        )

    def assertNotAttached(self, server, *words):
        for word in words:
            self.assertIn(word, self.faults(server)[0])
        self.assertUntouched(server)
        self.assertEqual([], self.api.get_server_volumes(server['id']))
        self.assertFalse(self.cinder.attachment_ids_for_instance(server['id']))

    def assertAttached(self, server):
        self.assertEqual([], self.faults(server))
        (found,) = self.api.get_server_volumes(server['id'])
        self.assertEqual(self.volume, found['volumeId'])

    def test_by_a_qemu(self):
        server = self.boot(self.tagged(xsm_device_model='none'))
        self.attach(server)
        self.assertNotAttached(
            server, exception.GuestRefused.MARK, 'isolation.xsm.device_model'
        )
        self.block_device()
        self.attach(server)
        self._wait_for_volume_attach(server['id'], self.volume)
        self.assertIn('xvdb', self.domain(server).XMLDesc(0))

    def test_encrypted(self):
        server = self.boot(self.flavor())
        self.block_device()
        # What Nova has made for a volume of the provider luks.
        secret = mock.Mock(UUIDString=lambda: uuids.secret)
        host = self.driver('host1')._host
        with (
            mock.patch.object(host, 'find_secret', return_value=secret),
            mock.patch.object(host, 'delete_secret') as deleted,
        ):
            self.attach(server)
        self.assertNotAttached(server, 'LUKS')
        deleted.assert_called_with('volume', self.volume)

    def test_limited(self):
        server = self.boot(self.flavor())
        self.block_device()
        limited = {
            'driver_volume_type': 'fake',
            'data': {'qos_specs': {'total_iops_sec': '9'}},
        }
        known = mock.patch.dict(
            self.cinder.VOLUME_CONNECTION_INFO, {self.volume: limited}
        )
        with known:
            self.attach(server)
        self.assertNotAttached(server, 'QoS')

    def test_by_a_qemu_for_others(self):
        for flavor in (self.tagged(), self.flavor()):
            server = self.boot(flavor)
            self.attach(server)
            self.assertAttached(server)
            self._delete_server(server)

    def test_by_a_qemu_in_audit_mode(self):
        server = self.boot(self.tagged(xsm_device_model='none'))
        self.flags(mode='audit', group='isolation')
        self.attach(server)
        self.assertAttached(server)


class ActionTest(base.GuestTestCase):
    """What Nova itself refuses where QEMU does not run the guest."""

    def setUp(self):
        super().setUp()
        self.server = self.boot(self.tagged())
        self.machine.calls.clear()

    def assertRefusedByNova(self, text, **action):
        error = self.assertRaises(
            client.OpenStackApiException,
            self.api.post_server_action,
            self.server['id'],
            action,
        )
        self.assertIn(error.response.status_code, (400, 409, 501))
        self.assertIn(text, error.response.text)
        self.assertUntouched(self.server)

    def test_password(self):
        self.assertRefusedByNova('password', changePassword={'adminPass': 'x'})

    def test_crash_dump(self):
        self.api.post_server_action(
            self.server['id'], {'trigger_crash_dump': None}
        )
        self._wait_for_assert(
            lambda: self.assertEqual(
                ['Triggering crash dump is not supported'],
                self.faults(self.server),
            ),
            max_retries=200,
        )
        self.assertUntouched(self.server)

    def test_quiesce(self):
        driver = self.driver('host1')
        (instance,) = driver._host.list_guests()
        error = self.assertRaises(
            libvirt_driver.exception.InstanceQuiesceNotSupported,
            driver.quiesce,
            self.context,
            mock.Mock(id=instance.uuid),
            None,
        )
        self.assertIn('Quiescing is not supported', str(error))
        self.assertUntouched(self.server)


class WishTest(base.GuestTestCase):
    """An image or a flavor asks for what no Xen guest gets."""

    #: Those of which placement knows nothing: the host says so.
    BY_HOST = (
        {'hw_firmware_type': 'uefi'},
        {'hw_machine_type': 'q35'},
        {'hw_sound_model': 'ich9'},
        {'hw_watchdog_action': 'reset'},
    )
    #: Those for which the host does not have the trait.
    BY_PLACEMENT = (
        {'hw_disk_bus': 'virtio'},
        {'hw_vif_model': 'virtio'},
        {'hw_scsi_model': 'virtio-scsi', 'hw_disk_bus': 'scsi'},
        {'hw_tpm_version': '2.0', 'hw_tpm_model': 'tpm-crb'},
        {'os_secure_boot': 'required'},
    )
    EXTRA_SPECS = (
        {'hw:tpm_version': '2.0'},
        {'hw:watchdog_action': 'reset'},
        {'hw:mem_page_size': 'large'},
        {'hw:cpu_policy': 'dedicated'},
        {'hw:numa_nodes': '1'},
        {'quota:disk_total_iops_sec': '10'},
    )

    def assertNotMade(self, server, wish):
        self.assertEqual('ERROR', server['status'], wish)
        self.assertEqual([], self.connection('host1').defined, wish)
        self.assertNothingLeft(server, 'host1')
        self.api.delete_server(server['id'])

    def test_image(self):
        flavor = self.flavor()
        # Nova 31 knows no sound model, and gives nobody any.
        by_host = [
            properties
            for properties in self.BY_HOST
            if properties.keys() <= image_meta.ImageMetaProps.fields.keys()
        ]
        for properties in (*by_host, *self.BY_PLACEMENT):
            server = self.boot(
                flavor, 'ERROR', image_uuid=self.image(properties)
            )
            self.assertNotMade(server, properties)
        for properties in by_host:
            (item,) = properties.items()
            said = self.logged('{}={} (image property'.format(*item))
            said += self.logged('Xen has no machine {1}'.format(*item))
            self.assertTrue(said, properties)

    def test_flavor(self):
        for specs in self.EXTRA_SPECS:
            with mock.patch.object(
                self.api_fixture.admin_api, 'microversion', '2.85'
            ):
                flavor = self._create_flavor(
                    memory_mb=64, vcpu=1, disk=1, ephemeral=0, extra_spec=specs
                )
            self.assertNotMade(self.boot(flavor, 'ERROR'), specs)

    def test_rescue_image(self):
        server = self.boot(self.tagged())
        image = self.image({'hw_firmware_type': 'uefi'})
        server = self.act(server, 'rescue', {'rescue_image_ref': image})
        self.assertTrue(self.logged('hw_firmware_type=uefi (image property)'))
        # Nova has powered it off before it asks the driver.
        self.assertEqual('ERROR', server['status'])
        self.assertStarts(0)
        self.act(server, 'reboot', {'type': 'HARD'})
        self.assertVerified(server)


class RebuildTest(base.GuestTestCase):
    """A rebuild with an image that Xen cannot run leaves the guest alone.

    Nova destroys the guest and its disk before it asks for another one.
    """

    def files(self, server):
        """The disks of a guest."""
        folder = os.path.join(CONF.instances_path, server['id'])
        return sorted(os.listdir(folder))

    def rebuild(self, server, properties):
        image = self.image(properties)
        return self.act(server, 'rebuild', {'imageRef': image})

    def assertRebuildRefused(self, server, status, **properties):
        domain, files = self.domain(server), self.files(server)
        server = self.rebuild(server, properties)
        self.assertEqual(status, server['status'])
        ((name, value),) = properties.items()
        for word in (name, value, 'Xen'):
            self.assertIn(word, self.faults(server)[0])
        self.assertIs(domain, self.domain(server))
        self.assertEqual(files, self.files(server))
        # Nova drops the allocation of a server that is still here.
        self.update('host1')
        self.assertEqual({'host1'}, self.allocations(server['id']))
        return server

    def test_rebuild(self):
        for flavor in (self.tagged(), self.flavor()):
            server = self.boot(flavor)
            for properties in (
                {'hw_firmware_type': 'uefi'},
                {'hw_machine_type': 'q35'},
                {'hw_vif_model': 'virtio'},
            ):
                server = self.assertRebuildRefused(
                    server, 'ACTIVE', **properties
                )
                self.assertUntouched(server)
            self._delete_server(server)

    def test_of_a_stopped_guest(self):
        server = self.act(self.boot(self.tagged()), 'os-stop')
        self.assertRebuildRefused(server, 'SHUTOFF', hw_firmware_type='uefi')
        self.assertStarts(0)

    def test_afterwards(self):
        """Nova has recorded the image before it asks the host."""
        server = self.boot(self.tagged())
        image = server['image']['id']
        server = self.assertRebuildRefused(
            server, 'ACTIVE', hw_firmware_type='uefi'
        )
        server = self.act(server, 'reboot', {'type': 'HARD'})
        self.assertIn('hw_firmware_type=uefi', self.faults(server)[0])
        self.assertUntouched(server)
        self.act(server, 'rebuild', {'imageRef': image})
        self.assertVerified(server)

    def test_evacuation(self):
        # The image was none that a guest of Xen cannot have when the server
        # was made: host1 ran QEMU then.
        for host in ('host2', 'host3'):
            self.machines[host] = fixtures.Machine()
            self.start_compute(host)
        server = self.boot(self.tagged(), host='host1')
        instance = objects.Instance.get_by_uuid(self.context, server['id'])
        instance.system_metadata['image_hw_firmware_type'] = 'uefi'
        instance.save()
        self.domain(server).end()
        (service,) = self.api.get_services(host='host1', binary='nova-compute')
        self.api.put_service_force_down(service['id'], True)
        server = self.act(server, 'evacuate', {}, '2.94')
        self.assertHost('host1', server)
        self.assertIn('hw_firmware_type=uefi', self.faults(server)[0])
        for host in ('host2', 'host3'):
            self.assertEqual([], self.connection(host).defined)
            self.update(host)
        self.assertEqual({'host1'}, self.allocations(server['id']))
