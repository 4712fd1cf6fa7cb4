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


"""What every attestation provider has to do.

Subclass :class:`Contract` beside TestCase and say how the third party is made
to say things, to fail and to be well again. Hosts are named as the provider
under test names them.
"""

from collections.abc import Mapping
import contextlib
import itertools
import time
import types

from nova_isolation.attestation import provider
from nova_isolation.attestation import refresher
from nova_isolation.attestation import service
from nova_isolation.attestation import snapshot
from nova_isolation.model import attestation_result

#: Seconds by which a time may be off: of whole seconds, and of the road.
NEAR = 3.0

#: Seconds that a fetch may take longer than it should, on a busy machine.
LATE = 5.0


class Contract:
    """The tests; the third party is its subclasses'."""

    #: Of the provider, in seconds.
    timeout = 2.0
    #: Its name among the entry points.
    name = ''
    #: The hosts of the tests.
    hosts = ('host1', 'host2')

    def options(self):
        """``[isolation_attestation]`` for the provider."""
        raise NotImplementedError

    def say(self, said):
        """Let the third party say this.

        :param said: host -> (state, seconds since its last good quote or
            None); no other host has an agent
        """
        raise NotImplementedError

    def broken(self):
        """Let the third party fail. Yields a word each time it does so in
        another way; restores itself after each."""
        raise NotImplementedError

    def make(self):
        made = service.load(self.options())
        self.addCleanup(made.close)
        return made

    def good(self, *ages):
        """All hosts are good, since."""
        self.say(
            {
                host: (attestation_result.GOOD, age)
                for host, age in zip(self.hosts, ages, strict=False)
            }
        )

    def assertNear(self, wanted, found):
        self.assertIsNotNone(found)
        self.assertTrue(abs(wanted - found) < NEAR, (wanted, found))

    def assertSnapshot(self, found):
        """Of the right types, and not to be changed."""
        self.assertIsInstance(found, snapshot.Snapshot)
        self.assertIn(found.by, (snapshot.BY_HOST, snapshot.BY_NODE))
        self.assertIsInstance(found.verdicts, types.MappingProxyType)
        self.assertIsInstance(found.trouble, str)
        for host, one in found.verdicts.items():
            self.assertIsInstance(host, str)
            self.assertIsInstance(one, snapshot.Verdict)
            attestation_result.loads(one.document)
        text = snapshot.dumps(found)
        self.assertEqual(found, snapshot.loads(text, found.serial))
        return found

    def test_contract_entry_point(self):
        made = self.make()
        self.assertIsInstance(made, provider.Provider)
        self.assertTrue(made.pause >= 0)

    def test_contract_says_what_is_said(self):
        self.say(
            {
                self.hosts[0]: (attestation_result.GOOD, 3.0),
                self.hosts[1]: (attestation_result.FAILED, 60.0),
            }
        )
        now = time.time()
        found = self.assertSnapshot(self.make().fetch(snapshot.Snapshot()))
        self.assertEqual(set(self.hosts), set(found.verdicts))
        good, failed = (found.verdicts[host] for host in self.hosts)
        self.assertEqual(
            attestation_result.GOOD,
            attestation_result.loads(good.document).state,
        )
        self.assertNear(now - 3.0, good.good_at)
        failure = attestation_result.loads(failed.document)
        self.assertEqual(attestation_result.FAILED, failure.state)
        self.assertTrue(failure.found)
        self.assertTrue(good.agent and good.verifier)
        self.assertEqual('', found.trouble)

    def test_contract_alike_hosts(self):
        self.good(3.0, 5.0)
        found = self.make().fetch(snapshot.Snapshot())
        first, second = (found.verdicts[host] for host in self.hosts)
        self.assertEqual(first.document, second.document)

    def test_contract_never_quoted(self):
        self.say({self.hosts[0]: (attestation_result.PENDING, None)})
        found = self.assertSnapshot(self.make().fetch(snapshot.Snapshot()))
        one = found.verdicts[self.hosts[0]]
        self.assertIsNone(one.good_at)
        self.assertEqual(
            attestation_result.PENDING,
            attestation_result.loads(one.document).state,
        )

    def test_contract_only_a_newer_quote_renews(self):
        """Neither asking again, nor what we knew before."""
        self.good(50.0)
        asked = self.make()
        first = asked.fetch(snapshot.Snapshot())
        host = self.hosts[0]
        at = first.verdicts[host].good_at
        forged = snapshot.Snapshot(
            first.by,
            {host: first.verdicts[host]._replace(good_at=time.time())},
        )
        for before in (first, forged):
            again = asked.fetch(before)
            self.assertNear(at, again.verdicts[host].good_at)
            self.assertNear(time.time() - 50, again.verdicts[host].good_at)
        self.good(1.0)
        newer = asked.fetch(first)
        self.assertNear(time.time() - 1, newer.verdicts[host].good_at)

    def test_contract_who_is_gone_is_gone(self):
        self.good(1.0, 1.0)
        asked = self.make()
        first = asked.fetch(snapshot.Snapshot())
        self.assertEqual(set(self.hosts), set(first.verdicts))
        self.good(1.0)
        second = asked.fetch(first)
        self.assertEqual({self.hosts[0]}, set(second.verdicts))
        # What was handed out is as it was.
        self.assertEqual(set(self.hosts), set(first.verdicts))

    def test_contract_failures(self):
        """An error that says what is wrong, in time, and nothing is lost."""
        self.good(1.0)
        asked = self.make()
        before = asked.fetch(snapshot.Snapshot())
        ways = 0
        for way in self.broken():
            ways += 1
            began = time.monotonic()
            error = self.assertRaises(
                provider.ProviderError, asked.fetch, before
            )
            took = time.monotonic() - began
            self.assertTrue(took < self.timeout + LATE, (way, took))
            self.assertTrue(str(error), way)
        self.assertTrue(ways)
        self.good(0.5)
        after = self.assertSnapshot(asked.fetch(before))
        self.assertNear(
            time.time() - 0.5, after.verdicts[self.hosts[0]].good_at
        )

    def test_contract_in_a_source(self):
        """A failure leaves the last good quote as it was, to run out."""
        self.good(1.0)
        known = refresher.Refresher(self.make(), max_age=60, clock_skew=5)
        known.refresh()
        host = self.hosts[0]
        (first,) = known.evidence(host, host, time.time()).values()
        self.assertTrue(first.is_fresh(60))
        ways = 0
        # All of them: test_contract_failures.
        for way in itertools.islice(self.broken(), 3):
            ways += 1
            failures, _ = known.step(0)
            self.assertEqual(1, failures, way)
            (found,) = known.evidence(host, host, time.time()).values()
            self.assertEqual(first.document, found.document)
            self.assertTrue(found.age >= first.age)
            self.assertTrue(found.trouble, way)
        self.assertTrue(ways)
        self.assertIsInstance(known.snapshot.verdicts, Mapping)
        (found,) = known.evidence(host, host, time.time() + 60).values()
        self.assertFalse(found.is_fresh(60))

    def test_contract_closed(self):
        """Nothing hangs, nothing is renewed."""
        self.good(1.0)
        asked = self.make()
        asked.close()
        asked.close()
        began = time.monotonic()
        with contextlib.suppress(provider.ProviderError):
            asked.fetch(snapshot.Snapshot())
        self.assertTrue(time.monotonic() - began < self.timeout + LATE)
