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

"""The end of a migration is lost, after the guest has arrived."""

from unittest import mock

from nova.tests.fixtures import libvirt as fakelibvirt

from tests.functional import fixtures
from tests.functional import road
from tests.functional import test_arrival


class LostAnswerTest(test_arrival.TestCase):
    """The destination's answer that the guest has arrived is lost.

    The source's libvirt takes the migration for failed and lets the guest run
    again, and Nova rolls the migration back.

    :ivar states: those of the guest on both hosts when Nova does that
    """

    def setUp(self):
        super().setUp()
        self.states = None
        manager = self.computes['host1'].manager
        rollback = manager._rollback_live_migration

        def roll_back(*args, **kwargs):
            self.states = [
                self.state(self.server, host) for host in self.computes
            ]
            rollback(*args, **kwargs)

        self.patch(manager, '_rollback_live_migration', roll_back)

    def patch(self, *args):
        patch = mock.patch.object(*args)
        patch.start()
        self.addCleanup(patch.stop)

    def lose(self, resumed):
        """Migrate a guest, and lose the answer.

        :param resumed: whether the guest is resumed at its arrival
        """
        self.flags(resume_at_arrival=resumed, group='isolation')
        expected = []
        self.copying(
            lambda domain: expected.extend(
                self.driver('host2')._arrivals._expected
            ),
            verified=resumed,
        )
        self.server = self.boot(self.tagged(), host='host1')

        def lost(domain):
            self.assertEqual(road.PAUSED, domain._state)
            there = self.connection('host2').lookupByUUIDString(
                domain.UUIDString()
            )
            self.assertEqual(fixtures.PAUSED_USER, there.reason)
            if resumed:
                self.wait(lambda: 'resume' in self.calls('host2'))
            raise fakelibvirt.libvirtError('the connection is broken')

        self.machines['host1'].on_sent = lost
        self.server = self.migrate(self.server)
        self.assertEqual([self.server['id']] if resumed else [], expected)
        # Nova's step at the destination has never begun.
        self.assertIsNone(self.resumed)
        self.assertHost('host1', self.server)
        self.assertEqual(road.RUNNING, self.state(self.server, 'host1'))

    def assertNeverRan(self):
        """The guest has run on its source alone."""
        self.assertEqual([road.RUNNING, road.PAUSED], self.states)
        self.assertIn('receive(paused=True)', self.calls('host2'))
        self.assertNotIn('resume', self.calls('host2'))

    def assertRanTwice(self):
        """The guest was verified, and ran on both hosts."""
        self.assertEqual([road.RUNNING, road.RUNNING], self.states)
        self.assertVerifiedBefore(self.calls('host2'))


class OwnFoldersTest(LostAnswerTest):
    """The hosts share disks (Ceph) or none: Nova removes what has arrived."""

    def setUp(self):
        super().setUp()
        # Of all that Nova asks of the folders, this is what counts here.
        self.patch(
            self.computes['host1'].manager,
            '_live_migration_cleanup_flags',
            lambda *args, **kwargs: (True, False),
        )

    def assertRemoved(self):
        self.wait(lambda: not self.connection('host2')._vms)
        self.assertIn('destroy', self.calls('host2'))
        self.assertEqual({}, self.driver('host2')._arrivals._expected)

    def test_paused(self):
        self.lose(resumed=False)
        self.assertNeverRan()
        self.assertRemoved()

    def test_resumed(self):
        self.lose(resumed=True)
        self.assertRanTwice()
        self.assertRemoved()


class SharedFoldersTest(LostAnswerTest):
    """The hosts share the folder of the instances (NFS).

    Nova then asks the destination for nothing, so the guest stays there.
    """

    def test_paused(self):
        self.lose(resumed=False)
        self.assertNeverRan()
        self.assertEqual(road.PAUSED, self.state(self.server, 'host2'))

    def test_resumed(self):
        self.lose(resumed=True)
        self.assertRanTwice()
        self.assertEqual(road.RUNNING, self.state(self.server, 'host2'))


class LostStepTest(test_arrival.TestCase):
    """The source dies when the guest has arrived and runs.

    So Nova's step at the destination never comes, and for Nova the server is
    still on its source.
    """

    def setUp(self):
        super().setUp()
        self.server = self.sent()
        self.expected = self.driver('host2')._arrivals._expected
        self.assertVerifiedBefore(self.calls('host2'))
        self.assertEqual(road.RUNNING, self.state(self.server, 'host2'))
        self.assertIsNone(self.state(self.server, 'host1'))

    def sent(self):
        """A guest that is sent by a source that dies then."""
        for machine in self.machines.values():
            machine.calls.clear()
        server = self.boot(self.tagged(), host='host1')

        # Nova's manager on the source does nothing after the hand-over.
        with (
            self.slow_source(),
            mock.patch.object(
                self.computes['host1'].manager,
                '_post_live_migration_update_host',
            ) as ended,
        ):
            self.api.post_server_action(
                server['id'], {'os-migrateLive': test_arrival.AUTO}
            )
            self.wait(lambda: ended.called)
        self.assertIsNone(self.resumed)
        server = self.api.get_server(server['id'])
        self.assertHost('host1', server)
        self.assertEqual('MIGRATING', server['status'])
        return server

    def look(self):
        """The watch of the destination verifies its guests."""
        self.machines['host2'].calls.clear()
        self.driver('host2')._watch._work.run()

    def test_verified_again(self):
        self.look()
        self.assertGreaterEqual(set(self.calls('host2')), road.QUESTIONS)
        self.assertEqual([], self.logged('violates its isolation'))
        self.unsandboxed('host2')
        self.look()
        (line,) = self.logged('violates its isolation')
        self.assertIn(f'[{road.NO_SANDBOX}]', line)
        (event,) = self.events(self.server, 'isolation_reverify')
        self.assertEvent(event, 'Error', 'host2')
        self.assertEqual(road.RUNNING, self.state(self.server, 'host2'))

    def test_forgotten_at_a_later_migration(self):
        first = self.expected[self.server['id']]
        first._thread.join(30)
        self.assertFalse(first._thread.is_alive())
        other = self.sent()
        self.assertEqual({self.server['id'], other['id']}, set(self.expected))
        # By now both should be here since long.
        for one in self.expected.values():
            one._until = 0.0
        third = self.sent()
        self.assertEqual({third['id']}, set(self.expected))
        self.assertEqual(road.RUNNING, self.state(self.server, 'host2'))
