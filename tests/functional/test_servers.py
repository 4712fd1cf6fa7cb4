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

"""What the service reads of servers, on Nova's databases and over its RPC."""

import datetime
from unittest import mock

from nova import exception as nova_exception
from nova import objects
from nova.tests.fixtures import libvirt as fakelibvirt
import oslo_messaging
from oslo_utils import uuidutils

from nova_isolation.cloud import live_servers
from nova_isolation.cloud import reader
from nova_isolation.report import asked
from nova_isolation.report import audit
from nova_isolation.report import explanation
from nova_isolation.report import server as servers
from tests.functional import fixtures
from tests.functional import road
from tests.unit.service import fakes


class TestCase(road.TestCase):
    def setUp(self):
        super().setUp()
        self.start(fixtures.Machine(), fixtures.Machine())
        for name in ('vcpus', 'memoryStats'):
            patch = mock.patch.object(
                fixtures.Domain,
                name,
                side_effect=fakelibvirt.libvirtError('unsupported'),
                create=True,
            )
            patch.start()
            self.addCleanup(patch.stop)

    def read(self):
        """A picture of the cloud."""
        # Placement may be slow beside other tests.
        return reader.CloudReader(placement_patience=60).read()

    def server(self, server):
        """A server as a picture has it."""
        (found,) = (
            one for one in self.read().servers if one.uuid == server['id']
        )
        return found


class PictureTest(TestCase):
    def test_tagged_servers_only(self):
        self.boot(self.flavor())
        tagged = self.boot(self.tagged(), name='web')
        # Keys that belong to this project however they are written.
        others = [
            self.boot(self.flavor_of(key), 'ERROR')
            for key in ('ISOLATION:svirt', '\u0131solation:svirt')
        ]
        seen = self.read().servers
        self.assertEqual(
            sorted([tagged['id'], *(one['id'] for one in others)]),
            [one.uuid for one in seen],
        )
        found = self.server(tagged)
        self.assertEqual(
            ('web', 'host1', 'active', self.api.project_id),
            (found.name, found.host, found.vm_state, found.project_id),
        )
        self.assertEqual('selinux', found.extra_specs['isolation:svirt'])
        self.assertEqual('', self.server(others[0]).host)
        # It is gone when it is deleted.
        self._delete_server(tagged)
        self.assertNotIn(
            tagged['id'], [one.uuid for one in self.read().servers]
        )

    def flavor_of(self, key):
        """A flavor with an extra spec that the API would refuse now."""
        flavor = self.flavor()
        with mock.patch.object(
            self.api_fixture.admin_api, 'microversion', '2.85'
        ):
            # The API takes no other letters, but the database may have them.
            plain = key if key.isascii() else 'x:svirt'
            self.api_fixture.admin_api.post_extra_spec(
                flavor, {'extra_specs': {plain: 'any'}}
            )
        if plain != key:
            self.rename(flavor, plain, key)
        return flavor

    def rename(self, flavor, before, after):
        from nova.db.api import api as api_db
        from nova.db.api import models

        with api_db.context_manager.writer.using(self.context):
            self.context.session.query(models.FlavorExtraSpecs).filter_by(
                key=before
            ).update({'key': after})

    def test_events_and_what_was_read(self):
        server = self.boot(self.tagged())
        (event,) = self.server(server).events
        self.assertEqual(servers.VERIFY, event.event)
        self.assertTrue(event.succeeded)
        self.assertEqual(
            self.api.get_instance_actions(server['id'])[0]['request_id'],
            event.request_id,
        )
        read = event.read_back
        self.assertTrue(read.verified)
        self.assertEqual(
            {
                'isolation:qemu_sandbox',
                'isolation:svirt',
                'isolation:svirt_type',
            },
            {one.requirement for one in read.proofs},
        )
        at = datetime.datetime.fromisoformat(read.at.replace('Z', '+00:00'))
        now = datetime.datetime.now(datetime.timezone.utc)
        self.assertLess(abs((now - at).total_seconds()), 60)
        # A violation comes first, being newer.
        self.unsandboxed('host1')
        self.driver('host1')._watch._work.run(None, True)
        found = self.server(server)
        self.assertTrue(found.violates)
        self.assertEqual((road.NO_SANDBOX,), found.newest.codes)
        self.assertFalse(found.newest.read_back.verified)
        self.enforcing('host1')
        self.driver('host1')._watch._work.run(None, True)
        self.assertFalse(self.server(server).violates)

    def test_traits(self):
        seen = self.read()
        (guarded,) = (seen.traits[node.uuid] for node in seen.nodes[:1])
        self.assertEqual(self.traits('host1'), guarded)
        with mock.patch(
            'nova.scheduler.client.report.SchedulerReportClient.get',
            return_value=None,
        ):
            seen = self.read()
        self.assertIsNone(seen.traits)
        self.assertEqual('placement does not answer', seen.traits_trouble)

    def test_audit_of_a_host_that_has_lost_its_driver(self):
        server = self.boot(self.tagged())

        def codes():
            seen = self.read()
            cloud = audit.Cloud(
                seen,
                fakes.rules(),
                explanation.Moment(seen.read_at),
                audit.Configuration(('IsolationFilter',)),
            )
            return [(one.kind.code, one.name) for one in audit.findings(cloud)]

        self.assertEqual([], codes())
        self.write_stats('host1', isolation_facts=None)
        self.assertEqual(
            [
                ('isolation.audit.server_unguarded', server['name']),
                ('isolation.audit.traits_stale', 'host1'),
            ],
            codes(),
        )


class LiveTest(TestCase):
    """Questions about one server."""

    def setUp(self):
        super().setUp()

        self.live = live_servers.LiveServers(
            lambda: list(objects.CellMappingList.get_all(self.context))
        )

    def test_find(self):
        server = self.boot(self.tagged())
        found = self.live.find(server['id'])
        self.assertEqual(self.server(server), found)
        untagged = self.boot(self.flavor())
        self.assertEqual({}, dict(self.live.find(untagged['id']).extra_specs))
        self.assertRaises(
            asked.NoSuchServer, self.live.find, uuidutils.generate_uuid()
        )
        # One that no host has taken is in the cell of those.
        refused = self.boot(self.tagged(hypervisor='xen'), 'ERROR')
        self.assertEqual('', self.live.find(refused['id']).host)

    def test_examine(self):
        server = self.boot(self.tagged())
        self.assertTrue(self.live.examine(server['id']).verified)
        self.unsandboxed('host1')
        found = self.live.examine(server['id'])
        self.assertEqual({road.NO_SANDBOX}, {one.code for one in found.unmet})

    def test_not_examined(self):
        server = self.boot(self.tagged())
        with (
            mock.patch.object(
                self.driver('host1').guard, 'examine', side_effect=ValueError
            ),
            self.assertRaisesRegex(asked.NotExamined, 'has not examined'),
        ):
            self.live.examine(server['id'])
        call = 'nova.compute.rpcapi.ComputeAPI.get_diagnostics'
        for failure, kind in (
            (oslo_messaging.MessagingTimeout(), asked.HostSilent),
            (oslo_messaging.MessageDeliveryFailure(), asked.NotExamined),
            (
                nova_exception.InstanceNotFound(instance_id=''),
                asked.NotRunning,
            ),
        ):
            # testtools of Nova 31 and 32 has no context manager here.
            with mock.patch(call, side_effect=failure):
                self.assertRaises(kind, self.live.examine, server['id'])
        with (
            mock.patch(call, return_value={'isolation': {'verified': True}}),
            self.assertRaisesRegex(asked.NotExamined, 'is malformed'),
        ):
            self.live.examine(server['id'])
        refused = self.boot(self.tagged(hypervisor='xen'), 'ERROR')
        with self.assertRaisesRegex(asked.NotRunning, 'is on no host'):
            self.live.examine(refused['id'])
        self.api.post_server_action(server['id'], {'os-stop': None})
        self._wait_for_state_change(server, 'SHUTOFF')
        with self.assertRaisesRegex(asked.NotRunning, 'does not run'):
            self.live.examine(server['id'])
