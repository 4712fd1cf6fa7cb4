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

"""What each attestation provider has to do, as tests.

Subclass :class:`ProviderContract` beside a TestCase, and define how the
verifier is made to report verdicts, to fail and to recover::

    class AcmeContractTest(ProviderContract, unittest.TestCase):
        name = 'acme'
        provider_class = acme_provider.AcmeProvider
        ...

Hosts are named as the provider under test names them.
"""

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import itertools
import time
import types
import typing
import unittest

from oslo_config import cfg

from nova_isolation.attestation import loader
from nova_isolation.attestation import opts
from nova_isolation.attestation import provider
from nova_isolation.attestation import refresher
from nova_isolation.attestation import service
from nova_isolation.attestation import snapshot
from nova_isolation.mechanisms.attested import attestation_result

if typing.TYPE_CHECKING:
    _Base = unittest.TestCase
else:
    # A mixin: otherwise a test runner would run the contract itself.
    _Base = object

#: Host -> (state of its attestation result, seconds since its last good quote
#: or None).
Verdicts = Mapping[str, tuple[str, float | None]]

#: Seconds by which a time may differ, because some servers report whole
#: seconds and an answer takes time.
NEAR = 3.0

#: Seconds by which a fetch may exceed its timeout on a busy machine.
LATE = 5.0


class ProviderContract(_Base):
    """The tests. Subclasses bring the provider and its verifier."""

    #: ``[isolation_attestation] timeout`` of the provider.
    timeout = 2.0
    #: The name of the provider's entry point.
    name = ''
    #: The class of the provider.
    provider_class: type[provider.Provider]
    #: The names of two hosts.
    hosts = ('host1', 'host2')

    def common(self) -> Mapping[str, object]:
        """Return values of ``[isolation_attestation]``."""
        return {}

    def own(self) -> Mapping[str, object]:
        """Return values of ``[isolation_attestation_NAME]``."""
        return {}

    def say(self, verdicts: Verdicts) -> None:
        """Let the verifier report these verdicts, and know no other host."""
        raise NotImplementedError

    def broken(self) -> Iterator[str]:
        """Let the verifier fail in one way after the other.

        Yield the name of each way while the verifier fails in that way, and
        let the verifier recover when the generator goes on.
        """
        raise NotImplementedError

    def configure(self) -> cfg.ConfigOpts:
        """Return a configuration with the values of the subclass."""
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[], default_config_dirs=[])
        groups = (
            (opts.register(conf), self.common()),
            (
                opts.register_own(conf, self.name, self.provider_class),
                self.own(),
            ),
        )
        conf.set_override('provider', self.name, opts.GROUP.name)
        conf.set_override('timeout', self.timeout, opts.GROUP.name)
        for group, values in groups:
            for name, value in values.items():
                conf.set_override(name, value, group._group.name)
        return conf

    def make(self) -> provider.Provider:
        """Return a provider that is closed when the test ends."""
        made = service.load(self.configure())
        self.addCleanup(made.close)
        return made

    def good(self, *ages: float) -> None:
        """Let the hosts be good, each since so many seconds."""
        self.say(
            {
                host: (attestation_result.GOOD, age)
                for host, age in zip(self.hosts, ages, strict=False)
            }
        )

    def assertNear(self, wanted: float, found: float | None) -> None:
        """Assert that two times are equal, as far as a test can tell."""
        self.assertIsNotNone(found)
        found = typing.cast(float, found)
        self.assertTrue(abs(wanted - found) < NEAR, (wanted, found))

    def assertSnapshot(self, found: snapshot.Snapshot) -> snapshot.Snapshot:
        """Assert that a snapshot has the right types and is immutable."""
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

    def test_contract_entry_point(self) -> None:
        """The entry point leads to the class."""
        self.assertIs(self.provider_class, loader.load(self.name))
        made = self.make()
        self.assertIsInstance(made, self.provider_class)
        self.assertTrue(made.pause >= 0)

    def test_contract_options(self) -> None:
        """Options are the same at each call, and each has a help text."""
        options = self.provider_class.options()
        self.assertEqual(list(options), list(self.provider_class.options()))
        for option in options:
            self.assertTrue((option.help or '').strip(), option.name)
        shown = {group.name: found for group, found in opts.list_opts()}
        self.assertEqual(
            list(options),
            list(shown.get(f'{opts.GROUP.name}_{self.name}', ())),
        )

    def test_contract_revocation(self) -> None:
        """A body that is not a message raises ValueError, if anything."""
        made = self.make()
        for body in (b'', b'\xff', b'null', b'[]', b'{}', b'{"msg": 7}'):
            if made.reads_revocations():
                self.assertRaises(ValueError, made.revocation, body)
            else:
                self.assertIsNone(made.revocation(body))

    def test_contract_says_what_is_said(self) -> None:
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

    def test_contract_alike_hosts(self) -> None:
        self.good(3.0, 5.0)
        found = self.make().fetch(snapshot.Snapshot())
        first, second = (found.verdicts[host] for host in self.hosts)
        self.assertEqual(first.document, second.document)

    def test_contract_never_quoted(self) -> None:
        self.say({self.hosts[0]: (attestation_result.PENDING, None)})
        found = self.assertSnapshot(self.make().fetch(snapshot.Snapshot()))
        one = found.verdicts[self.hosts[0]]
        self.assertIsNone(one.good_at)
        self.assertEqual(
            attestation_result.PENDING,
            attestation_result.loads(one.document).state,
        )

    def test_contract_only_a_newer_quote_renews(self) -> None:
        """Neither another fetch nor an earlier snapshot renews a verdict."""
        began = time.time()
        self.good(50.0)
        made = self.make()
        first = made.fetch(snapshot.Snapshot())
        host = self.hosts[0]
        at = first.verdicts[host].good_at or 0.0
        forged = snapshot.Snapshot(
            first.by,
            types.MappingProxyType(
                {host: first.verdicts[host]._replace(good_at=time.time())}
            ),
        )
        for before in (first, forged):
            again = made.fetch(before)
            self.assertNear(at, again.verdicts[host].good_at)
            self.assertNear(began - 50, again.verdicts[host].good_at)
        began = time.time()
        self.good(1.0)
        newer = made.fetch(first)
        self.assertNear(began - 1, newer.verdicts[host].good_at)

    def test_contract_host_that_is_gone_is_gone(self) -> None:
        self.good(1.0, 1.0)
        made = self.make()
        first = made.fetch(snapshot.Snapshot())
        self.assertEqual(set(self.hosts), set(first.verdicts))
        self.good(1.0)
        second = made.fetch(first)
        self.assertEqual({self.hosts[0]}, set(second.verdicts))
        # An earlier snapshot does not change.
        self.assertEqual(set(self.hosts), set(first.verdicts))

    def test_contract_failures(self) -> None:
        """A failure raises an error with a message, in time."""
        self.good(1.0)
        made = self.make()
        before = made.fetch(snapshot.Snapshot())
        ways = 0
        for way in self.broken():
            ways += 1
            began = time.monotonic()
            # assertRaises of the testtools of Nova 31 and 32 is no context
            # manager.
            text = ''
            try:
                made.fetch(before)
            except provider.ProviderError as error:
                text = str(error)
            took = time.monotonic() - began
            self.assertTrue(took < self.timeout + LATE, (way, took))
            self.assertTrue(text, way)
        self.assertTrue(ways)
        self.good(0.5)
        after = self.assertSnapshot(made.fetch(before))
        self.assertNear(
            time.time() - 0.5, after.verdicts[self.hosts[0]].good_at
        )

    def test_contract_in_a_refresher(self) -> None:
        """A failure keeps the last good quote, whose age grows."""
        self.good(1.0)
        known = refresher.Refresher(self.make(), max_age=60, clock_skew=5)
        known.refresh()
        host = self.hosts[0]
        (first,) = known.evidence(host, host, time.time()).values()
        self.assertTrue(first.is_fresh(60))
        ways = 0
        # All ways: test_contract_failures.
        for way in itertools.islice(self.broken(), 3):
            ways += 1
            failures, _ = known.step(0)
            self.assertEqual(1, failures, way)
            (found,) = known.evidence(host, host, time.time()).values()
            self.assertEqual(first.document, found.document)
            self.assertGreaterEqual(found.age or 0.0, first.age or 0.0)
            self.assertEqual(first.good_at, found.good_at)
            self.assertTrue(found.trouble, way)
        self.assertTrue(ways)
        self.assertIsInstance(known.snapshot.verdicts, Mapping)
        (found,) = known.evidence(host, host, time.time() + 60).values()
        self.assertFalse(found.is_fresh(60))

    def test_contract_closed(self) -> None:
        """After close() a fetch returns or fails in time."""
        self.good(1.0)
        made = self.make()
        made.close()
        made.close()
        began = time.monotonic()
        with contextlib.suppress(provider.ProviderError):
            made.fetch(snapshot.Snapshot())
        self.assertTrue(time.monotonic() - began < self.timeout + LATE)
