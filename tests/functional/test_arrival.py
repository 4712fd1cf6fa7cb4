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

"""A guest that arrives by live migration is resumed at once, or as ever."""

import contextlib
import time
from unittest import mock

from nova.tests.fixtures import libvirt as fakelibvirt
from nova.virt import event as virtevent

from nova_isolation.virt.roads import arrivals
from nova_isolation.virt.roads import migration_steps
from tests.functional import fixtures
from tests.functional import road
from tests.functional import test_attested

AUTO = {'host': None, 'block_migration': 'auto'}

#: libvirt's events, and what Nova makes of them
EVENTS = {
    fakelibvirt.VIR_DOMAIN_EVENT_STARTED: virtevent.EVENT_LIFECYCLE_STARTED,
    fakelibvirt.VIR_DOMAIN_EVENT_SUSPENDED: virtevent.EVENT_LIFECYCLE_PAUSED,
    fakelibvirt.VIR_DOMAIN_EVENT_RESUMED: virtevent.EVENT_LIFECYCLE_RESUMED,
}


class TestCase(road.TestCase):
    """Guests go from host1 to host2."""

    def setUp(self):
        super().setUp()
        self.flags(resume_at_arrival=True, group='isolation')
        self.start(fixtures.Machine(), fixtures.Machine())
        for host in self.computes:
            self.listen(host)
        #: what was done on host2 until Nova's step began there, and whether
        #: the guest had been resumed by then
        self.before = self.resumed = None
        arrive = migration_steps.arrive

        def step(guard, host, instance, request, resumed):
            self.before, self.resumed = self.calls('host2'), resumed
            arrive(guard, host, instance, request, resumed)

        patch = mock.patch.object(migration_steps, 'arrive', step)
        patch.start()
        self.addCleanup(patch.stop)
        self.copying(lambda domain: None)

    def listen(self, host):
        """Give libvirt's events to the driver, which Nova's tests do not."""

        def emit(_, domain, event, detail, opaque):
            if event in EVENTS:
                self.driver(host).emit_event(
                    virtevent.LifecycleEvent(
                        domain.UUIDString(), EVENTS[event]
                    )
                )

        self.connection(host).domainEventRegisterAny(
            None, fakelibvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, emit, None
        )

    @property
    def there(self):
        """The machine where guests arrive."""
        return self.machines['host2']

    def copying(self, then, verified=True):
        """Do something while memory is copied.

        :param verified: whether the guest has to be verified before that
        """

        def copy(domain):
            if verified:
                self.wait(lambda: set(self.calls('host2')) >= road.QUESTIONS)
            then(domain)

        self.there.on_copy = copy

    def wait(self, condition):
        end = time.monotonic() + 30
        while not condition():
            self.assertLess(time.monotonic(), end, self.calls('host2'))
            time.sleep(0.005)

    @contextlib.contextmanager
    def slow_source(self):
        """Nova's source ends the migration when the guest runs.

        So it is here, where libvirt takes a second to end it.
        """
        complete = fixtures.Domain.complete_job

        def late(domain):
            self.wait(lambda: 'resume' in self.calls('host2'))
            complete(domain)

        with mock.patch.object(fixtures.Domain, 'complete_job', late):
            yield

    def migrate(self, server):
        return self.act(server, 'os-migrateLive', AUTO)

    def assertAsEver(self, server):
        """Nova's step has verified the guest and resumed it."""
        self.assertIs(False, self.resumed)
        self.assertNotIn('resume', self.before)
        self.assertVerified(server, 'host2')
        self.assertNotIn('suspend', self.calls('host2'))


class ResumedTest(TestCase):
    """The guest runs before Nova's source has ended the migration."""

    def test_verified_twice_before(self):
        server = self.boot(self.tagged(), host='host1')
        with self.slow_source():
            server = self.migrate(server)
        self.assertIs(True, self.resumed)
        self.assertVerifiedBefore(self.before)
        before = self.before[: self.before.index('resume')]
        for question in road.QUESTIONS:
            self.assertEqual(2, before.count(question), before)
        self.assertVerified(server, 'host2')
        # Nova's step has verified it again and let it be.
        after = self.calls('host2')[len(self.before) :]
        self.assertGreaterEqual(set(after), road.QUESTIONS)
        self.assertNotIn('suspend', self.calls('host2'))
        self.assertEqual({}, self.driver('host2')._arrivals._expected)

    def test_there_and_back(self):
        server = self.boot(self.tagged(), host='host1')
        with self.slow_source():
            server = self.migrate(server)
        self.machines['host1'].on_copy = lambda domain: self.wait(
            lambda: set(self.calls('host1')) >= road.QUESTIONS
        )
        server = self.migrate(server)
        self.assertVerified(server, 'host1')

    def test_event_of_arrival_lost(self):
        # Or late: Nova deals with another event, and waits for the database.
        handle = arrivals.Arrivals.handle

        def lose(expected, event):
            if event.get_transition() != virtevent.EVENT_LIFECYCLE_PAUSED:
                handle(expected, event)

        server = self.boot(self.tagged(), host='host1')
        with (
            self.slow_source(),
            mock.patch.object(arrivals.Arrivals, 'handle', lose),
        ):
            server = self.migrate(server)
        self.assertIs(True, self.resumed)
        self.assertVerifiedBefore(self.before)
        self.assertVerified(server, 'host2')

    def test_violated_meanwhile(self):
        # After it was resumed and before Nova's step.
        server = self.boot(self.tagged(), host='host1')
        settle = arrivals.Arrivals.settle

        def late(expected, uuid):
            self.unsandboxed('host2')
            return settle(expected, uuid)

        with (
            self.slow_source(),
            mock.patch.object(arrivals.Arrivals, 'settle', late),
        ):
            server = self.migrate(server)
        self._wait_for_state_change(server, 'ERROR')
        self.assertIs(True, self.resumed)
        self.assertEqual(road.PAUSED, self.state(server, 'host2'))
        self.assertRefused(
            server, 'isolation_verify', 'host2', road.NO_SANDBOX
        )

    def test_paused_by_an_operator_meanwhile(self):
        server = self.boot(self.tagged(), host='host1')
        settle = arrivals.Arrivals.settle

        def late(expected, uuid):
            self.connection('host2').lookupByUUIDString(uuid).suspend()
            return settle(expected, uuid)

        with (
            self.slow_source(),
            mock.patch.object(arrivals.Arrivals, 'settle', late),
        ):
            server = self.migrate(server)
        self.assertIs(True, self.resumed)
        self.assertEqual(road.PAUSED, self.state(server, 'host2'))
        self.assertEqual(1, self.calls('host2').count('resume'))


class RefusedTest(TestCase):
    """The guest never runs on the destination."""

    def setUp(self):
        super().setUp()
        # The source ends the migration when it has been decided.
        self.machines['host1'].on_sent = self.join

    def join(self, domain):
        """Wait for the end of the thread that might resume the guest."""
        expected = self.driver('host2')._arrivals._expected
        thread = expected[domain.UUIDString()]._thread
        thread.join(30)
        self.assertFalse(thread.is_alive())

    def refused(self, code=road.NO_SANDBOX):
        server = self.migrate(self.boot(self.tagged(), host='host1'))
        self._wait_for_state_change(server, 'ERROR')
        self.assertIs(False, self.resumed)
        self.assertNothingRuns(server)
        self.assertEqual(road.PAUSED, self.state(server, 'host2'))
        self.assertRefused(server, 'isolation_verify', 'host2', code)

    def test_while_it_is_copied(self):
        self.unsandboxed('host2')
        self.refused()

    def test_at_arrival(self):
        self.copying(lambda domain: self.unsandboxed('host2'))
        self.refused()

    def test_another_guest_of_its_label_starts_meanwhile(self):
        # Its label is not libvirt's choice but that of its definition.
        other = self.domain(self.boot(self.flavor(), host='host2'))

        def restart(domain):
            other.end()
            other.begin(other.xml, False)
            self.connection('host2')._mark_running(other)
            other.pid = domain.pid

        self.copying(restart)
        self.refused('isolation.svirt.category_clash')


class AsEverTest(TestCase):
    """What is not as expected is left to Nova's step."""

    def test_all_events_lost(self):
        self.copying(lambda domain: None, verified=False)
        with mock.patch.object(arrivals.Arrivals, 'handle'):
            server = self.migrate(self.boot(self.tagged(), host='host1'))
        self.assertAsEver(server)

    def test_service_restarted(self):
        def forget(domain):
            driver = self.driver('host2')
            # Its threads end with it.
            driver._arrivals.stop()
            driver._arrivals = arrivals.Arrivals(driver.guard, driver._host)

        self.copying(forget)
        server = self.migrate(self.boot(self.tagged(), host='host1'))
        self.assertAsEver(server)

    def test_another_process(self):
        def other(domain):
            fixtures.Processes.current.end(domain)
            domain.pid = fixtures.Processes.current.start(domain)

        self.copying(other)
        server = self.migrate(self.boot(self.tagged(), host='host1'))
        self.assertAsEver(server)

    def test_verified_too_late(self):
        # The guest is here before anybody has looked at it.
        self.copying(lambda domain: None, verified=False)
        state = fixtures.Domain.state

        def late(domain, flags=0):
            self.wait(lambda: domain.reason == fixtures.PAUSED_USER)
            return state(domain, flags)

        with mock.patch.object(fixtures.Domain, 'state', late):
            server = self.migrate(self.boot(self.tagged(), host='host1'))
        self.assertAsEver(server)

    def test_switched_off(self):
        self.flags(resume_at_arrival=False, group='isolation')
        self.copying(lambda domain: None, verified=False)
        server = self.migrate(self.boot(self.tagged(), host='host1'))
        self.assertAsEver(server)


class NotExpectedTest(TestCase):
    """Guests that are not for this host to resume."""

    def setUp(self):
        super().setUp()
        self.expected = []
        self.copying(
            lambda domain: self.expected.extend(
                self.driver('host2')._arrivals._expected
            ),
            verified=False,
        )

    def test_paused_by_its_user(self):
        server = self.boot(self.tagged(), host='host1')
        self.act(server, 'pause')
        server = self.migrate(server)
        self.assertEqual('PAUSED', server['status'])
        self.assertEqual([], self.expected)
        self.assertNothingRuns(server)

    def test_untagged(self):
        server = self.migrate(self.boot(self.flavor(), host='host1'))
        self.assertHost('host2', server)
        self.assertEqual([], self.expected)
        self.assertEqual(set(), road.QUESTIONS & set(self.calls('host2')))

    def test_audit(self):
        self.flags(mode='audit', group='isolation')
        self.update('host2')
        server = self.migrate(self.boot(self.tagged(), host='host1'))
        self.assertHost('host2', server)
        self.assertEqual([], self.expected)


class AttestedTest(TestCase, test_attested.TestCase):
    """The guest also needs a host that a verifier vouches for."""

    def setUp(self):
        super().setUp()
        self.say(*self.computes)
        for host in self.computes:
            self.update(host)

    def sent(self):
        flavor = self.tagged(attested='true')
        return self.migrate(self.boot(flavor, host='host1'))

    def test_good(self):
        with self.slow_source():
            server = self.sent()
        self.assertIs(True, self.resumed)
        self.assertVerifiedBefore(self.before)
        self.assertVerified(server, 'host2')

    def test_lost_before_its_arrival(self):
        self.copying(lambda domain: self.lose('host2'))
        server = self.sent()
        self._wait_for_state_change(server, 'ERROR')
        self.assertIs(False, self.resumed)
        self.assertNothingRuns(server)
        self.assertEqual(road.PAUSED, self.state(server, 'host2'))
        self.assertRefused(
            server, 'isolation_verify', 'host2', test_attested.FAILED
        )
