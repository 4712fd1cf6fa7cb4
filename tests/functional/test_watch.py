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

"""Guests that run are verified again."""

import threading
from unittest import mock

from lxml import etree
from nova import exception as nova_exception
from nova import objects
from nova.compute import power_state
from nova.compute import task_states
from nova.tests.fixtures import libvirt as fakelibvirt
from nova.tests.functional.api import client
from nova.virt import event
from oslo_concurrency import lockutils
from oslo_messaging.notify import _impl_test

from nova_isolation.mechanisms.qemu import mechanism
from nova_isolation.model import facts
from nova_isolation.virt.watch import watch_thread
from tests.functional import base
from tests.functional import fixtures

OTHER = frozenset({'pie', 'nx'})
SVIRT = 'CUSTOM_ISOLATION_SVIRT_SELINUX'
RUNNING = fakelibvirt.VIR_DOMAIN_RUNNING


class TestCase(base.TestCase):
    def setUp(self):
        super().setUp()
        self.flags(driver=['test'], group='oslo_messaging_notifications')
        _impl_test.reset()
        self.addCleanup(_impl_test.reset)
        self.start(fixtures.Machine(), fixtures.Machine())
        self.machine = self.machines['host1']

    def look(self, only=None):
        """Verify the guests of host1 once."""
        self.driver('host1')._watch._work.run(only, only is None)

    def told(self):
        """The notifications so far: event type, payload."""
        found = [message for _, message, _, _ in _impl_test.NOTIFICATIONS]
        _impl_test.reset()
        return [
            (message['event_type'], message['payload']) for message in found
        ]

    def reverified(self, server):
        """The results of the events of a server that ran, sorted.

        Those of one second have no order.
        """
        return sorted(
            one['result'] for one in self.events(server, 'isolation_reverify')
        )

    def assertViolated(self, server, *codes):
        """It was told: in the log, as an event, as a notification."""
        lines = self.logged('running guest violates its isolation')
        self.assertEqual(1, len(lines))
        (found,) = self.events(server, 'isolation_reverify')
        self.assertEvent(found, 'Error', 'host1')
        ((event_type, payload),) = self.told()
        self.assertEqual('isolation.violation', event_type)
        self.assertEqual(set(codes), {u['code'] for u in payload['unmet']})
        for code in codes:
            self.assertIn(f'[{code}]', found['details'])

    def status(self, server):
        return self.api.get_server(server['id'])['status']


class HostTest(TestCase):
    """What the host measures falls short."""

    def setUp(self):
        super().setUp()
        self.tagged = self.flavor(svirt='selinux')
        self.server = self.boot(self.tagged)

    def test_as_asked(self):
        before = self.node('host1').updated_at
        self.machine.calls.clear()
        self.look()
        self.assertIn('process_label', self.machine.calls)
        self.assertEqual(([], []), (self.told(), self.reverified(self.server)))
        self.assertEqual(before, self.node('host1').updated_at)

    def test_permissive_and_back(self):
        self.machine.selinux = 'permissive'
        self.look()
        self.assertNotIn(SVIRT, self.traits('host1'))
        self.assertIn(SVIRT, self.traits('host2'))
        self.assertEqual(RUNNING, self.domain(self.server)._state)
        self.assertViolated(self.server, 'isolation.svirt.not_enforcing')
        for _ in range(3):
            self.look()
        self.assertEqual([], self.told())
        self.assertEqual(['Error'], self.reverified(self.server))
        self.assertHost('host2', self.boot(self.tagged))
        # Its own facts say it; nothing else is closed.
        self.assertIsNone(
            facts.violated_by(
                facts.loads(self.node('host1').stats[facts.STAT]).sections[
                    'svirt'
                ]
            )
        )

        self.machine.selinux = 'enforcing'
        self.look()
        self.assertEqual(['Error', 'Success'], self.reverified(self.server))
        ((event_type, payload),) = self.told()
        self.assertEqual('isolation.violation.end', event_type)
        self.assertEqual('mended', payload['why'])
        self.assertIn(SVIRT, self.traits('host1'))
        self.assertHost('host1', self.boot(self.tagged))
        # It comes back: that is told again.
        self.machine.selinux = 'permissive'
        self.look()
        self.assertEqual(
            ['Error', 'Error', 'Success'], self.reverified(self.server)
        )

    def test_guest_that_ends(self):
        self.machine.selinux = 'permissive'
        self.look()
        self.told()
        self._delete_server(self.server)
        self.look()
        ((event_type, payload),) = self.told()
        self.assertEqual('isolation.violation.end', event_type)
        self.assertEqual('gone', payload['why'])
        self.assertEqual({}, self.guard('host1').violations.known)

    def test_audit(self):
        self.flags(mode='audit', on_violation='stop', group='isolation')
        self.machine.selinux = 'permissive'
        self.look()
        self.assertViolated(self.server, 'isolation.svirt.not_enforcing')
        self.assertEqual(RUNNING, self.domain(self.server)._state)

    def test_metadata_that_is_gone(self):
        domain = self.domain(self.server)
        root = etree.fromstring(domain.xml)
        root.remove(root.find('metadata'))
        domain.xml = etree.tostring(root, encoding='unicode')
        self.machine.selinux = 'permissive'
        self.look()
        self.assertEqual(['Error'], self.reverified(self.server))

    def test_guest_that_nova_is_at_work_on(self):
        instance = objects.Instance.get_by_uuid(
            self.context, self.server['id']
        )
        instance.task_state = task_states.REBOOTING
        instance.save()
        self.machine.selinux = 'permissive'
        # It is being made, and will be verified before it runs.
        domain = self.domain(self.server)
        domain._state = fakelibvirt.VIR_DOMAIN_PAUSED
        self.machine.calls.clear()
        self.look()
        self.assertEqual([], self.told())
        self.assertNotIn('security_label', self.machine.calls)
        # It runs, whatever Nova is at.
        domain._state = RUNNING
        self.look()
        self.assertEqual(['Error'], self.reverified(self.server))

    def test_conductor_away(self):
        self.look()
        self.machine.selinux = 'permissive'
        with mock.patch(
            'nova.objects.InstanceList.get_by_host',
            side_effect=nova_exception.CellTimeout(),
        ):
            self.look()
            ((event_type, payload),) = self.told()
            self.assertEqual('isolation.violation', event_type)
            self.assertIsNone(payload['project_id'])
            self.look()
            self.assertEqual([], self.reverified(self.server))
        self.assertEqual(1, len(self.logged('The database cannot be asked')))
        self.assertIn(SVIRT, self.traits('host1'))
        self.look()
        self.assertEqual(['Error'], self.reverified(self.server))
        self.assertNotIn(SVIRT, self.traits('host1'))
        self.assertEqual([], self.told())

    def test_conductor_away_from_the_first(self):
        # Then the domains say what is asked for them.
        self.machine.selinux = 'permissive'
        with mock.patch(
            'nova.objects.InstanceList.get_by_host',
            side_effect=nova_exception.CellTimeout(),
        ):
            self.look()
        ((_, payload),) = self.told()
        self.assertEqual(self.server['id'], payload['instance_uuid'])


class UntaggedTest(TestCase):
    """Nobody looks at guests that ask for nothing."""

    def test_never_looked_at(self):
        server = self.boot(self.flavor())
        self.machine.calls.clear()
        self.look()
        self.assertEqual([], self.machine.calls)
        self.assertEqual(([], []), (self.told(), self.reverified(server)))

    def test_host_that_falls_short(self):
        server = self.boot(self.flavor())
        self.assertIn('CUSTOM_ISOLATION_SVIRT_SELINUX', self.traits('host1'))
        self.machine.selinux = 'permissive'
        self.machine.calls.clear()
        self.look()
        self.assertNotIn(
            'CUSTOM_ISOLATION_SVIRT_SELINUX', self.traits('host1')
        )
        # Nova's own report of its resources reads the XML.
        self.assertEqual({'domain_xml'}, set(self.machine.calls))
        self.assertEqual(([], []), (self.told(), self.reverified(server)))


class GuestTest(TestCase):
    """A guest is not as asked, where the host's own facts say all is well."""

    def test_other_binary(self):
        hardened, svirt = (
            self.flavor(qemu_hardening='pie'),
            self.flavor(svirt='selinux'),
        )
        server = self.boot(hardened)
        domain = self.domain(server)
        old = self.machine.identity
        self.machine.hardening = OTHER
        self.machine.lies['executable'] = old
        self.look()
        self.assertViolated(server, 'isolation.qemu.other_binary')
        self.assertEqual(RUNNING, domain._state)
        # New guests are refused what it violates, by all who are asked.
        traits = self.traits('host1')
        self.assertNotIn('CUSTOM_ISOLATION_QEMU_PIE', traits)
        self.assertIn(SVIRT, traits)
        self.assertEqual(
            {'violated': ''},
            facts.loads(self.node('host1').stats[facts.STAT]).sections['qemu'],
        )
        self.assertHost('host2', self.boot(hardened))
        self.flags(request_traits=False, group='isolation')
        with base.no_prefilter():
            refused = self.refused(
                hardened, 'isolation.host.violated', az='nova:host1'
            )
        # Admins read which guest it is, its neighbours do not.
        self.assertNotIn(server['id'], refused['fault']['message'])
        (event,) = self.events(refused, 'isolation_decide')
        self.assertIn(server['id'], event['details'])
        self.assertHost('host1', self.boot(svirt))
        # Its own hard reboot is what mends it.
        del self.machine.lies['executable']
        server = self._reboot_server(server, hard=True)
        self.look()
        self.assertEqual(['Error', 'Success'], self.reverified(server))
        self.assertHost('host1', self.boot(hardened))

    def test_host_stays_open(self):
        self.flags(violation_closes_host=False, group='isolation')
        flavor = self.flavor(qemu_hardening='pie')
        self.boot(flavor)
        self.machine.lies['executable'] = fixtures.program.Identity(
            9, 9, 9, 9, 9
        )
        self.look()
        self.assertEqual(1, len(self.told()))
        self.assertIn('CUSTOM_ISOLATION_QEMU_PIE', self.traits('host1'))
        del self.machine.lies['executable']
        self.assertHost('host1', self.boot(flavor))

    def test_label_gone_and_more(self):
        server = self.boot(self.flavor(svirt='selinux', qemu_sandbox='true'))
        self.machine.lies['process_label'] = 'unconfined\0'
        self.look()
        self.assertViolated(server, 'isolation.svirt.wrong_label')
        self.machine.lies['seccomp'] = 0
        self.look()
        self.look()
        ((_, payload),) = self.told()
        self.assertEqual(
            {'isolation.svirt.wrong_label', 'isolation.qemu.no_sandbox'},
            {item['code'] for item in payload['unmet']},
        )
        self.assertEqual(
            {'svirt', 'qemu'}, set(self.guard('host1').violations.closed())
        )

    def test_clash(self):
        tagged = self.flavor(svirt='selinux')
        servers = [self.boot(tagged), self.boot(tagged)]
        untagged = self.boot(self.flavor())
        label = 'system_u:system_r:svirt_t:s0:c1,c2'
        with mock.patch.object(fixtures.Domain, 'label', label):
            self.look()
            told = dict(
                (payload['instance_uuid'], payload['unmet'][0]['code'])
                for _, payload in self.told()
            )
            self.assertEqual(
                dict.fromkeys(
                    [server['id'] for server in servers],
                    'isolation.svirt.category_clash',
                ),
                told,
            )
        self.assertEqual([], self.reverified(untagged))
        self.look()
        for server in servers:
            self.assertEqual(['Error', 'Success'], self.reverified(server))

    def test_clash_with_an_untagged_one(self):
        server = self.boot(self.flavor(svirt='selinux'))
        untagged = self.boot(self.flavor())
        with mock.patch.object(
            fixtures.Domain, 'label', 'system_u:system_r:svirt_t:s0:c1,c2'
        ):
            self.look()
        self.assertViolated(server, 'isolation.svirt.category_clash')
        self.assertEqual([], self.reverified(untagged))

    def test_what_cannot_be_examined_counts_when_it_cannot_twice(self):
        server = self.boot(self.flavor(qemu_sandbox='true'))
        with mock.patch.object(
            mechanism.QemuMechanism,
            'verify',
            side_effect=RuntimeError('a defect'),
        ):
            self.look()
            # Out of turn it is no second time.
            self.look(frozenset([server['id']]))
            self.assertEqual([], self.told())
            self.look()
            self.assertViolated(server, 'isolation.verify.failed')
            self.look()
            self.assertEqual(1, len(self.logged('mechanism qemu failed')))
        self.look()
        self.assertEqual(['Error', 'Success'], self.reverified(server))

    def test_what_cannot_be_examined_once(self):
        server = self.boot(self.flavor(qemu_sandbox='true'))
        for _ in range(2):
            self.machine.lies['seccomp'] = OSError('gone')
            self.look()
            del self.machine.lies['seccomp']
            self.look()
        self.assertEqual(([], []), (self.told(), self.reverified(server)))


class ReactionTest(TestCase):
    """What is done about a violation, where the admin wants it."""

    def setUp(self):
        super().setUp()
        self.server = self.boot(self.flavor(qemu_sandbox='true'))
        # Nova shows it before it is through with it.
        with lockutils.lock(self.server['id'], 'nova-'):
            self.machine.lies['seccomp'] = 0

    def test_pause(self):
        self.flags(on_violation='pause', group='isolation')
        self.look()
        domain = self.domain(self.server)
        self.assertEqual(fakelibvirt.VIR_DOMAIN_PAUSED, domain._state)
        self.assertEqual('PAUSED', self.status(self.server))
        self.assertEqual('pause', self.told()[0][1]['action'])
        with mock.patch.object(fixtures.Domain, 'suspend') as suspend:
            self.look()
            suspend.assert_not_called()
        # Somebody else's doing is undone.
        domain.resume()
        self.look(frozenset([self.server['id']]))
        self.assertEqual(fakelibvirt.VIR_DOMAIN_PAUSED, domain._state)
        self.assertEqual(['Error'], self.reverified(self.server))
        unpause = {'unpause': None}
        self.assertRaises(
            client.OpenStackApiException,
            self.api.post_server_action,
            self.server['id'],
            unpause,
        )
        self.assertEqual(fakelibvirt.VIR_DOMAIN_PAUSED, domain._state)
        del self.machine.lies['seccomp']
        self.look()
        self.assertEqual(['Error', 'Success'], self.reverified(self.server))
        self.api.post_server_action(self.server['id'], unpause)
        self._wait_for_state_change(self.server, 'ACTIVE')
        self.assertEqual(RUNNING, domain._state)

    def test_pause_without_conductor(self):
        self.look()
        self.flags(on_violation='pause', group='isolation')
        with mock.patch(
            'nova.objects.InstanceList.get_by_host',
            side_effect=nova_exception.CellTimeout(),
        ):
            self.look()
        self.assertEqual(
            fakelibvirt.VIR_DOMAIN_PAUSED, self.domain(self.server)._state
        )
        self.assertEqual('ACTIVE', self.status(self.server))
        self.look()
        self.assertEqual('PAUSED', self.status(self.server))

    def test_pause_that_fails(self):
        self.flags(on_violation='pause', group='isolation')
        with mock.patch.object(
            fixtures.Domain,
            'suspend',
            side_effect=fakelibvirt.libvirtError('busy'),
        ):
            self.look()
        self.assertEqual('failed', self.told()[0][1]['action'])
        self.assertEqual('ACTIVE', self.status(self.server))
        self.look()
        self.assertEqual('PAUSED', self.status(self.server))
        self.assertEqual([], self.told())

    def test_nova_is_at_work_on_the_guest(self):
        # As it holds the lock while it deletes a server, say.
        self.flags(on_violation='stop', group='isolation')
        with lockutils.lock(self.server['id'], 'nova-'):
            self.look()
        self.assertEqual('failed', self.told()[0][1]['action'])
        self.assertEqual(RUNNING, self.domain(self.server)._state)
        self.look()
        self.assertEqual({}, self.connection('host1')._running_vms)

    def test_stop(self):
        self.flags(on_violation='stop', group='isolation')
        self.look()
        self.assertEqual('stop', self.told()[0][1]['action'])
        self.assertEqual({}, self.connection('host1')._running_vms)
        # As Nova does when libvirt tells it, which the harness does not.
        self.computes['host1'].manager._sync_instance_power_state(
            self.context,
            objects.Instance.get_by_uuid(self.context, self.server['id']),
            power_state.SHUTDOWN,
        )
        self._wait_for_state_change(self.server, 'SHUTOFF')
        self.look()
        self.assertEqual('gone', self.told()[0][1]['why'])


class TenantTest(TestCase):
    """A tenant cannot take his guest out of the watch."""

    CAST_AS_CALL = False

    def test_guest_that_does_not_shut_down(self):
        # As os_shutdown_timeout of its image, of 68 years at most.
        self.flags(shutdown_timeout=2**31 - 1)
        self.flags(on_violation='pause', group='isolation')
        server = self.boot(self.flavor(qemu_sandbox='true'))
        domain = self.domain(server)
        self.addCleanup(domain.end)
        with mock.patch.object(fixtures.Domain, 'shutdown') as shutdown:
            self.api.post_server_action(server['id'], {'os-stop': None})
            self._wait_for_assert(shutdown.assert_called, 200, 0.05)
            found = self.api.get_server(server['id'])
            self.assertEqual('powering-off', found['OS-EXT-STS:task_state'])
            self.look()
            self.assertEqual([], self.told())
            self.machine.lies['seccomp'] = 0
            self.look()
            self.assertViolated(server, 'isolation.qemu.no_sandbox')
            self.assertEqual(RUNNING, domain._state)
            # Nova still waits.
            self.look()
            self.assertEqual(fakelibvirt.VIR_DOMAIN_PAUSED, domain._state)
            # Nova gives up on it, or its user does.
            domain.end()
            self._wait_for_state_change(server, 'SHUTOFF')
        self.look()
        ((_, payload),) = self.told()
        self.assertEqual('gone', payload['why'])


class ThreadTest(TestCase):
    """The thread runs by itself, and ends."""

    def setUp(self):
        super().setUp()
        patch = mock.patch.object(watch_thread, '_PAUSE', 0.05)
        patch.start()
        self.addCleanup(patch.stop)
        self.server = self.boot(self.flavor(qemu_sandbox='true'))
        self.flags(verify_interval=3600, group='isolation')
        self.watch = self.driver('host1')._watch
        self.addCleanup(self.watch.stop)

    def assertTold(self, count):
        def check():
            self.assertEqual(
                count, len(self.events(self.server, 'isolation_reverify'))
            )

        self._wait_for_assert(check, max_retries=100, sleep=0.1)

    def test_at_once_when_the_service_starts(self):
        self.machine.lies['seccomp'] = 0
        self.update('host1')
        self.assertTold(1)
        self.assertEqual(
            'isolation-watch', self.watch._thread.name, threading.enumerate()
        )
        self.computes['host1'].manager.cleanup_host()
        self.assertFalse(self.watch._thread.is_alive())

    def test_at_once_when_somebody_resumes_a_guest(self):
        with mock.patch.object(
            self.watch._work, 'run', wraps=self.watch._work.run
        ) as run:
            self.update('host1')
            self._wait_for_assert(
                lambda: run.assert_called_once_with(None, True), 100, 0.1
            )
            self.machine.lies['seccomp'] = 0
            for transition in (
                event.EVENT_LIFECYCLE_PAUSED,
                event.EVENT_LIFECYCLE_RESUMED,
            ):
                self.driver('host1').emit_event(
                    event.LifecycleEvent(self.server['id'], transition)
                )
            self.assertTold(1)
            self.assertEqual(
                [
                    mock.call(None, True),
                    mock.call(frozenset([self.server['id']]), False),
                ],
                run.mock_calls,
            )

    def test_lives_on(self):
        self.flags(verify_interval=1, group='isolation')
        self.update('host1')
        with mock.patch.object(
            self.driver('host1')._host,
            'list_guests',
            side_effect=fakelibvirt.libvirtError('gone'),
        ) as listed:
            self._wait_for_assert(
                lambda: self.assertGreater(listed.call_count, 2), 100, 0.1
            )
            self.machine.lies['seccomp'] = 0
        self.assertTold(1)
        self.assertEqual(
            1, len(self.logged('Could not verify the running guests'))
        )
