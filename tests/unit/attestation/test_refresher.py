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


import gc
import os
import threading
import time
import types
from unittest import mock

import fixtures

from nova_isolation.attestation import provider
from nova_isolation.attestation import refresher
from nova_isolation.attestation import revocations
from nova_isolation.attestation import snapshot
from nova_isolation.mechanisms.attested import attestation_result
from tests.unit import base

GOOD = attestation_result.dumps(
    attestation_result.AttestationResult(attestation_result.GOOD)
)

#: Seconds for what takes a moment.
PATIENCE = 20.0


def known(good_at=None, by='host', serial='', **agents):
    """A snapshot of good hosts, or of host ``h`` with agent ``a``."""
    at = time.time() if good_at is None else good_at
    return snapshot.Snapshot(
        by,
        types.MappingProxyType(
            {
                host: snapshot.Verdict(GOOD, at, at, agent, 'v')
                for host, agent in (agents or {'h': 'a'}).items()
            }
        ),
        serial=serial,
    )


class Provider(provider.Provider):
    """Says what it is told to say.

    :ivar answer: a snapshot, an exception, or a function of what is known
    """

    pause = 0.01

    def __init__(self, answer=None):
        self.answer = answer if answer is not None else known()
        self.asked = []
        self.closed = 0

    def fetch(self, before):
        self.asked.append(before)
        answer = self.answer
        if isinstance(answer, BaseException):
            raise answer
        return (
            answer if isinstance(answer, snapshot.Snapshot) else answer(before)
        )

    def close(self):
        self.closed += 1


class Case(base.TestCase):
    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger(level=1))
        self.provider = Provider()
        self.seen = []

    def source(self, **options):
        made = refresher.Refresher(
            self.provider,
            **{
                'max_age': 60.0,
                'clock_skew': 5.0,
                'on_change': self.seen.append,
                **options,
            },
        )
        self.addCleanup(made.stop)
        return made

    def wait(self, condition):
        until = time.monotonic() + PATIENCE
        while not condition():
            self.assertTrue(time.monotonic() < until, self.log.output)
            time.sleep(0.005)

    def state(self, one, host='h'):
        return attestation_result.loads(
            one.snapshot.verdicts[host].document
        ).state


class EvidenceTest(Case):
    """What is said of a host, now."""

    def evidence(self, one, host='h', node='n', now=None):
        if now is not None:
            # The clock of these tests.
            one._confirmed = (0.0, refresher._uptime())
        ((name, found),) = one.evidence(
            host, node, time.time() if now is None else now
        ).items()
        self.assertEqual('attested', name)
        return found

    def test_good(self):
        self.provider.answer = known(good_at=1000.0)
        one = self.source()
        one.refresh()
        found = self.evidence(one, now=1007.5)
        self.assertEqual(
            (GOOD, 7.5, 7.5, 60.0, 5.0, ''),
            (found.document, found.age, found.report_age, found.max_age,
             found.clock_skew, found.trouble),
        )  # fmt: skip

    def test_never_good(self):
        self.provider.answer = snapshot.Snapshot(
            verdicts={'h': snapshot.Verdict(GOOD, None, None, 'a', 'v')}
        )
        one = self.source()
        one.refresh()
        found = self.evidence(one)
        self.assertIsNone(found.age)
        self.assertIsNone(found.report_age)
        self.assertFalse(found.is_fresh(60))

    def test_unknown_host(self):
        one = self.source()
        one.refresh()
        found = self.evidence(one, 'H')
        self.assertEqual('', found.document)
        self.assertFalse(found.is_fresh(60))

    def test_before_the_first_answer(self):
        # That is no word against any host.
        one = self.source()
        self.provider.answer = provider.ProviderError('v is down')
        one.step(0)
        self.assertEqual({}, dict(one.evidence('h', 'n', time.time())))
        self.provider.answer = known()
        one.step(1)
        self.assertTrue(self.evidence(one).is_fresh(60))

    def test_a_clock_that_is_set_back(self):
        one = self.source()
        one.refresh()
        confirmed, uptime = time.time(), refresher._uptime()
        for passed, back, expected in (
            (0.0, 0.0, 0.0),
            (40.0, 40.0, 40.0),
            (3600.0, 3600.0, 3600.0),
            # Set forward is as ever: too old, if anything.
            (10.0, -50.0, 60.0),
        ):
            with mock.patch.object(
                refresher, '_uptime', lambda passed=passed: uptime + passed
            ):
                ((_, found),) = one.evidence(
                    'h', 'n', confirmed + passed - back
                ).items()
            self.assertAlmostEqual(expected, found.age, delta=5)
        # Whoever confirms it again is believed.
        one.refresh()
        self.assertTrue(self.evidence(one).is_fresh(60))

    def test_by_node(self):
        self.provider.answer = known(by='node', n='a', h='b')
        one = self.source()
        one.refresh()
        self.assertEqual('a', self.evidence(one, 'h', 'n').agent)
        self.assertEqual('b', self.evidence(one, 'x', 'h').agent)
        self.assertEqual('', self.evidence(one, 'h', 'x').document)

    def test_by_host(self):
        one = self.source()
        one.refresh()
        self.assertEqual('', self.evidence(one, 'x', 'h').document)

    def test_bounds(self):
        """Ages are counted when somebody asks."""
        self.provider.answer = known(good_at=1000.0)
        one = self.source()
        one.refresh()
        for now, fresh in (
            (994.9, False), (995.0, True), (1000.0, True), (1060.0, True),
            (1060.1, False), (9999.0, False),
        ):  # fmt: skip
            self.assertEqual(
                fresh, self.evidence(one, now=now).is_fresh(600.0), now
            )
        self.assertFalse(self.evidence(one, now=1031.0).is_fresh(30.0))

    def test_trouble(self):
        one = self.source()
        one.refresh()
        self.provider.answer = provider.ProviderError('v is down')
        one.step(0)
        self.assertEqual('v is down', self.evidence(one).trouble)
        self.assertEqual('v is down', self.evidence(one, 'x').trouble)


class StepTest(Case):
    """One fetch, whatever comes of it."""

    def test_success(self):
        one = self.source()
        self.assertEqual((0, 0.01), one.step(0))
        self.assertEqual([self.provider.answer], self.seen)
        self.assertIs(self.provider.answer, one.snapshot)
        self.assertNotIn('Attestation', self.log.output)

    def test_nothing_new(self):
        one = self.source()
        one.step(0)
        self.provider.answer = lambda before: before
        one.step(0)
        self.assertEqual(1, len(self.seen))
        self.assertIs(one.snapshot, self.seen[0])

    def test_what_was_said_is_handed_back(self):
        """As it was said, not as revocations left it."""
        said = self.provider.answer = known(serial='17')
        one = self.source()
        one.step(0)
        one.revoke('a', 'x')
        one.step(0)
        self.assertIs(said, self.provider.asked[-1])

    def test_failures(self):
        """Whatever is raised; logged once in a row, recovery too."""
        one = self.source()
        one.step(0)
        before = one.snapshot.verdicts
        failures = 0
        for error in (
            provider.ProviderError('v is down'),
            provider.ProviderError('v is still down'),
            ValueError('secret'),
            KeyError('secret'),
            RecursionError(),
            MemoryError(),
            SystemExit('secret'),
            KeyboardInterrupt('secret'),
            type('Fatal', (BaseException,), {})('secret'),
        ):
            self.provider.answer = error
            failures, wait = one.step(failures)
            self.assertTrue(0 < wait < 60)
            self.assertIs(before, one.snapshot.verdicts)
            self.assertTrue(one.snapshot.trouble)
            self.assertNotIn('secret', one.snapshot.trouble)
        self.assertEqual(9, failures)
        self.assertEqual(1, self.log.output.count('Cannot refresh'))
        self.provider.answer = known()
        failures, _ = one.step(failures)
        self.assertEqual(0, failures)
        self.assertEqual('', one.snapshot.trouble)
        self.assertEqual(1, self.log.output.count('refreshed again'))
        one.step(failures)
        self.assertEqual(1, self.log.output.count('refreshed again'))

    def test_no_snapshot(self):
        """A provider that returns something else."""
        one = self.source()
        one.step(0)
        before = one.snapshot.verdicts
        good = known().verdicts['h']
        for answer in (
            None,
            {},
            'good',
            snapshot.Snapshot(by='x'),
            snapshot.Snapshot(trouble=None),
            snapshot.Snapshot(verdicts=None),
            snapshot.Snapshot(verdicts={1: good}),
            snapshot.Snapshot(verdicts={'h': None}),
            snapshot.Snapshot(verdicts={'h': tuple(good)}),
            snapshot.Snapshot(verdicts={'h': good._replace(agent=[])}),
            snapshot.Snapshot(verdicts={'h': good._replace(good_at='1')}),
            snapshot.Snapshot(verdicts={'h': good._replace(good_at=1e999)}),
        ):
            self.provider.answer = lambda _, answer=answer: answer
            failures, _ = one.step(0)
            self.assertEqual(1, failures)
            self.assertIs(before, one.snapshot.verdicts)

    def test_pause_that_is_none(self):
        """The thread neither ends nor sleeps for ever."""
        one = self.source()
        for pause in (None, 'x', -1.0, float('nan'), float('inf')):
            self.provider.pause = pause
            failures, wait = one.step(0)
            self.assertEqual(1, failures)
            self.assertTrue(0 < wait < 60)

        class Raising(type(self.provider)):
            pause = property(lambda self: 1 / 0)

        one._provider = Raising()
        self.assertEqual(1, one.step(0)[0])

    def test_waits_longer_and_longer(self):
        one = self.source()
        self.provider.answer = provider.ProviderError('x')
        for failures, low, high in (
            (0, 0.25, 0.75), (1, 0.5, 1.5), (4, 4.0, 12.0),
            (5, 7.5, 22.5), (100, 7.5, 22.5), (10**6, 7.5, 22.5),
        ):  # fmt: skip
            waits = {one.step(failures)[1] for _ in range(20)}
            self.assertTrue(low <= min(waits) <= max(waits) <= high)
            self.assertTrue(len(waits) > 1)

    def test_trouble_ends_where_nothing_is_new(self):
        said = self.provider.answer
        one = self.source()
        one.step(0)
        self.provider.answer = provider.ProviderError('x')
        one.step(0)
        self.assertEqual('x', one.snapshot.trouble)
        self.provider.answer = lambda before: before
        one.step(1)
        self.assertEqual('', one.snapshot.trouble)
        self.assertEqual(said, one.snapshot)

    def test_who_is_told_fails(self):
        """on_change is somebody else's code."""

        def fails(_):
            raise ValueError('no')

        one = self.source(on_change=fails)
        one.step(0)
        self.assertEqual('good', self.state(one))
        self.provider.answer = provider.ProviderError('x')
        one.step(0)
        self.provider.answer = known(good_at=7.0)
        one.step(1)
        self.assertEqual(7.0, one.snapshot.verdicts['h'].good_at)
        self.assertIs(True, one.revoke('a', 'x'))
        self.assertEqual('revoked', self.state(one))

    def test_refresh_raises(self):
        self.provider.answer = provider.ProviderError('v is down')
        self.assertRaisesText(
            provider.ProviderError, 'v is down', self.source().refresh
        )


class RevokeTest(Case):
    """Distrust at once; trust only for a newer good quote."""

    def test_at_once(self):
        one = self.source()
        one.refresh()
        self.assertTrue(one.revoke('a', 'revoked by its verifier'))
        self.assertEqual('revoked', self.state(one))
        self.assertIs(one.snapshot, self.seen[-1])
        self.assertEqual(2, len(self.seen))

    def test_somebody_else(self):
        one = self.source()
        one.refresh()
        self.assertFalse(one.revoke('b', 'x'))
        self.assertEqual('good', self.state(one))
        self.assertEqual(1, len(self.seen))

    def test_before_the_agent_is_known(self):
        one = self.source()
        self.assertFalse(one.revoke('a', 'x'))
        one.refresh()
        self.assertEqual('revoked', self.state(one))

    def test_while_our_clock_is_ahead(self):
        """It does not last until that time, whatever quotes come."""
        one = self.source()
        one.refresh()
        now = time.time()
        with fixtures.MockPatch('time.time', lambda: now + 3600):
            one.revoke('a', 'x')
        self.provider.answer = known(good_at=now)
        one.refresh()
        self.assertEqual('revoked', self.state(one))
        self.provider.answer = known(good_at=now + 30)
        one.refresh()
        self.assertEqual('good', self.state(one))

    def test_before_our_clock_was_right(self):
        """It was ahead when it was first confirmed, too."""
        one = self.source()
        now = time.time()
        with fixtures.MockPatch('time.time', lambda: now + 3600):
            one.revoke('a', 'x')
            one.refresh()
            one.revoke('a', 'x')
        self.provider.answer = known(good_at=now + 30)
        for _ in range(2):
            one.refresh()
        self.assertEqual('good', self.state(one))

    def test_memory_is_bounded(self):
        """Whoever may send messages does not fill it."""
        one = self.source()
        for refreshes in range(2):
            for number in range(3 * revocations.MAX_ABSENT):
                one.revoke(f'{refreshes}-{number}', 'x')
            one.refresh()
            self.assertLessEqual(
                len(one._revocations._revoked), revocations.MAX_ABSENT + 1
            )
        # What was forgotten is not trusted.
        self.provider.answer = known(h='0-0')
        one.refresh()
        self.assertEqual('revoked', self.state(one))

    def test_until_a_newer_quote(self):
        one = self.source()
        one.refresh()
        one.revoke('a', 'x')
        for later, state in (
            (-10.0, 'revoked'), (4.0, 'revoked'), (30.0, 'good'),
        ):  # fmt: skip
            self.provider.answer = known(good_at=time.time() + later)
            one.refresh()
            self.assertEqual(state, self.state(one), later)

    def test_during_a_fetch(self):
        """What was asked before it, does not undo it."""
        asked, go_on = threading.Event(), threading.Event()
        answer = known()

        def slowly(_):
            asked.set()
            go_on.wait(PATIENCE)
            return answer

        one = self.source()
        one.refresh()
        self.provider.answer = slowly
        thread = threading.Thread(target=one.refresh)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(go_on.set)
        self.assertTrue(asked.wait(PATIENCE))
        # Not held up by the fetch either.
        self.assertTrue(one.revoke('a', 'x'))
        self.assertEqual('revoked', self.state(one))
        go_on.set()
        thread.join(PATIENCE)
        self.assertEqual('revoked', self.state(one))
        self.assertNotIn(
            'good',
            [
                attestation_result.loads(seen.verdicts['h'].document).state
                for seen in self.seen[1:]
            ],
        )

    def test_while_nobody_can_be_asked(self):
        one = self.source()
        one.refresh()
        self.provider.answer = provider.ProviderError('x')
        failures, _ = one.step(0)
        one.revoke('a', 'x')
        one.step(failures)
        self.assertEqual('revoked', self.state(one))
        self.assertEqual('x', one.snapshot.trouble)

    def test_nothing_new(self):
        one = self.source()
        one.refresh()
        one.revoke('a', 'x')
        self.provider.answer = lambda before: before
        one.refresh()
        self.assertEqual('revoked', self.state(one))


class ThreadTest(Case):
    """One thread a process, as long as somebody needs it."""

    def test_goes_on_whatever_is_raised(self):
        class Silent(BaseException):
            def __str__(self):
                raise SystemExit

        for error in (
            SystemExit(),
            Silent(),
            type('Error', (Silent, provider.ProviderError), {})(),
        ):
            self.provider.answer = error
            self.useFixture(
                fixtures.MockPatchObject(refresher, '_RETRY', (0.01, 0.01))
            )
            one = self.source()
            one.start()
            self.wait(lambda: len(self.provider.asked) > 2)
            self.provider.answer = known()
            self.wait(lambda one=one: one.snapshot.verdicts)
            one.stop()
            self.provider.asked.clear()

    def threads(self):
        return [
            one
            for one in threading.enumerate()
            if one.name == 'isolation-attestation'
        ]

    def test_asks_again_and_again(self):
        one = self.source()
        self.assertEqual([], self.threads())
        one.start()
        self.wait(lambda: len(self.provider.asked) > 3)
        self.assertEqual(1, len(self.threads()))
        self.assertTrue(self.threads()[0].daemon)

    def test_start_twice(self):
        one = self.source()
        starters = [threading.Thread(target=one.start) for _ in range(8)]
        for starter in starters:
            starter.start()
        for starter in starters:
            starter.join()
        self.assertEqual(1, len(self.threads()))

    def test_lives_on(self):
        self.useFixture(
            fixtures.MonkeyPatch(
                'nova_isolation.attestation.refresher._RETRY', (0.01, 0.01)
            )
        )
        self.provider.answer = RuntimeError('no')
        one = self.source()
        one.start()
        self.wait(lambda: len(self.provider.asked) > 3)
        self.provider.answer = known()
        self.wait(lambda: one.snapshot.verdicts)
        self.assertEqual(1, self.log.output.count('Cannot refresh'))

    def test_wait(self):
        go_on = threading.Event()
        self.addCleanup(go_on.set)

        def slowly(_):
            go_on.wait(PATIENCE)
            raise provider.ProviderError('x')

        self.provider.answer = slowly
        one = self.source()
        one.start()
        began = time.monotonic()
        one.wait(0.2)
        self.assertTrue(0.2 <= time.monotonic() - began < PATIENCE)
        go_on.set()
        one.wait(PATIENCE)
        self.assertEqual('x', one.snapshot.trouble)

    def test_stop(self):
        self.provider.pause = 600.0
        one = self.source()
        one.start()
        self.wait(lambda: one.snapshot.verdicts)
        began = time.monotonic()
        one.stop()
        self.assertTrue(time.monotonic() - began < 4)
        self.assertEqual([], self.threads())
        self.assertEqual(1, self.provider.closed)
        # What is known is known, and runs out.
        self.assertEqual('good', self.state(one))

    def test_stop_does_not_wait_for_ever(self):
        go_on = threading.Event()
        self.addCleanup(go_on.set)
        self.provider.answer = lambda _: go_on.wait(PATIENCE) and known()
        self.useFixture(
            fixtures.MonkeyPatch(
                'nova_isolation.attestation.refresher._PATIENCE', 0.2
            )
        )
        one = self.source()
        one.start()
        self.wait(lambda: self.provider.asked)
        began = time.monotonic()
        one.stop()
        self.assertTrue(time.monotonic() - began < 5)

    def test_stop_whatever_the_provider_raises(self):
        class Fatal(BaseException):
            pass

        for error in (Fatal(), SystemExit(1), KeyboardInterrupt(), OSError()):
            self.provider.close = mock.Mock(side_effect=error)
            one = self.source()
            one.start()
            one.stop()
            self.assertEqual([], self.threads())

    def test_stop_without_a_start(self):
        self.source().stop()
        self.assertEqual(1, self.provider.closed)

    def test_ends_with_its_owner(self):
        """A source that nobody has any more leaves no thread."""
        one = refresher.Refresher(self.provider, max_age=60, clock_skew=5)
        one.start()
        self.wait(lambda: self.provider.asked)
        del one
        gc.collect()
        self.wait(lambda: not self.threads())

    def test_readers_are_not_held_up(self):
        """By a fetch, nor by a writer that holds the lock."""
        go_on = threading.Event()
        self.addCleanup(go_on.set)
        one = self.source()
        one.refresh()
        self.provider.answer = lambda _: go_on.wait(PATIENCE) and known()
        one.start()
        self.wait(lambda: len(self.provider.asked) == 2)
        with one._lock:
            began = time.monotonic()
            for _ in range(1000):
                one.evidence('h', 'n', 0.0)
            self.assertTrue(time.monotonic() - began < 2)


class ForkTest(Case):
    """A child process asks for itself, when it starts to."""

    def child(self, run):
        pid = os.fork()
        if not pid:
            result = 1
            try:
                result = 0 if run() else 2
            finally:
                os._exit(result)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def asks(self, one):
        """Whether this process's source refreshes, and can be revoked."""

        def run():
            one.start()
            count = len(self.provider.asked)
            until = time.monotonic() + PATIENCE
            while len(self.provider.asked) < count + 3:
                if time.monotonic() > until:
                    return False
                time.sleep(0.005)
            return one.revoke('a', 'x')

        return run

    def test_started(self):
        one = self.source()
        one.start()
        self.wait(lambda: one.snapshot.verdicts)
        self.assertEqual(0, self.child(self.asks(one)))
        # And we do, as before; what the child was told is the child's.
        self.assertTrue(self.asks(one)())

    def test_while_somebody_writes(self):
        """The lock of a thread that the child does not have."""
        one = self.source()
        one.start()
        self.wait(lambda: one.snapshot.verdicts)
        with one._lock:
            result = self.child(self.asks(one))
        self.assertEqual(0, result)

    def test_not_started(self):
        one = self.source()
        one.start()
        self.wait(lambda: one.snapshot.verdicts)
        self.assertEqual(0, self.child(lambda: threading.active_count() == 1))
        self.assertEqual('good', self.state(one))

    def test_started_in_the_child(self):
        one = self.source()
        self.assertEqual(0, self.child(self.asks(one)))
        self.assertEqual([], self.provider.asked)

    def test_stopped(self):
        """A child of a service that ends does not begin again."""
        one = self.source()
        one.start()
        self.wait(lambda: one.snapshot.verdicts)
        one.stop()

        def run():
            count = len(self.provider.asked)
            one.start()
            time.sleep(0.2)
            return len(self.provider.asked) == count

        self.assertEqual(0, self.child(run))
