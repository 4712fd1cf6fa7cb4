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


import json
import pathlib
import threading
import time
import types
from unittest import mock

import fixtures

from nova_isolation.attestation import provider
from nova_isolation.attestation import refresher
from nova_isolation.attestation import snapshot
from nova_isolation.attestation.keylime import keylime_provider
from nova_isolation.mechanisms.attested import attestation_result
from nova_isolation.testing import provider_contract
from tests.unit import base
from tests.unit.attestation.keylime import verifier
from tests.unit.https import pki

NOTHING = snapshot.Snapshot()

#: Where the recorded agents are.
HOSTS = {'host1': verifier.FIRST, 'host2': verifier.SECOND}


class Case(base.TestCase):
    """A provider, and a stand-in for its verifier."""

    timeout = 2.0

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.pki = pki.Authority(self.folder / 'pki')
        self.ours = self.pki.issue('attestd')
        self.verifier = self.another()
        self.hosts_file = self.folder / 'hosts'
        self.write_hosts(HOSTS)
        self.rule = str(self.hosts_file)

    def another(self, certificate=None):
        return self.useFixture(
            verifier.Verifier(
                self.pki,
                certificate or self.pki.issue(f'v{time.monotonic_ns()}'),
            )
        )

    def write_hosts(self, hosts):
        new = self.hosts_file.with_suffix('.new')
        new.write_text(
            ''.join(f'{host} {agent}\n' for host, agent in hosts.items())
        )
        new.rename(self.hosts_file)

    def options(self, *others, **changes):
        return types.SimpleNamespace(
            **{
                'provider': 'keylime',
                'verifiers': [one.url for one in (self.verifier, *others)],
                'ca_file': self.pki.ca_file,
                'cert_file': self.ours.cert_file,
                'key_file': self.ours.key_file,
                'timeout': self.timeout,
                'clock_skew': 5.0,
                'poll_interval': 0.5,
                'host_map': self.rule,
                **changes,
            }
        )

    def asked(self, *others, **changes):
        values = self.options(*others, **changes)
        made = keylime_provider.KeylimeProvider(values, values)
        self.addCleanup(made.close)
        return made

    def fetch(self, *others, **changes):
        return self.asked(*others, **changes).fetch(NOTHING)

    def states(self, found):
        """host -> state, and what was found."""
        return {
            host: (one.state, one.found)
            for host, verdict in found.verdicts.items()
            for one in (attestation_result.loads(verdict.document),)
        }

    def assertTrouble(self, *patterns, url=None, **changes):
        """Nobody could be asked, and it is told why."""
        error = self.assertRaises(
            provider.ProviderError, self.fetch, **changes
        )
        for pattern in (url or self.verifier.url, *patterns):
            self.assertIn(pattern, str(error))
        self.assertNotIn(verifier.SHARE, str(error))


class KeylimeContractTest(Case, provider_contract.ProviderContract):
    """What every provider has to do, by a real verifier's answers."""

    name = 'keylime'
    provider_class = keylime_provider.KeylimeProvider

    def common(self):
        return {
            'ca_file': self.pki.ca_file,
            'cert_file': self.ours.cert_file,
            'key_file': self.ours.key_file,
        }

    def own(self):
        return {
            'verifiers': [self.verifier.url],
            'poll_interval': 0.5,
            'host_map': self.rule,
        }

    def say(self, said):
        now = int(time.time())
        records = {
            attestation_result.GOOD: ('two_pass', verifier.FIRST),
            attestation_result.FAILED: ('invalid_quote_9', verifier.FIRST),
            attestation_result.PENDING: (
                'verifier_restarted_pending',
                verifier.FIRST,
            ),
        }
        results = {}
        for host, (state, age) in said.items():
            name, agent = records[state]
            results[HOSTS[host]] = {
                **verifier.recorded(name)[agent],
                'last_successful_attestation': 0 if age is None else now - age,
            }
        self.verifier.results = results

    def broken(self):
        one = self.verifier
        good = verifier.body(one.results)
        for way, changes in (
            ('400', {'status': 400}),
            ('403', {'status': 403}),
            ('404', {'status': 404}),
            ('500', {'status': 500}),
            ('503', {'status': 503}),
            ('a redirection', {'status': 302}),
            ('silent', {'mood': 'silent'}),
            ('no TLS', {'mood': 'no TLS'}),
            ('drips', {'mood': 'drips'}),
            ('drips headers', {'mood': 'drips headers'}),
            ('cuts', {'mood': 'cuts'}),
            ('hangs up', {'mood': 'hangs up'}),
            ('clock ahead', {'clock': 30.0}),
            ('clock behind', {'clock': -30.0}),
            ('no clock', {'clock': None}),
            ('truncated', {'results': good[:-20]}),
            ('empty', {'results': b''}),
            ('no JSON', {'results': b'<html>'}),
            ('not UTF-8', {'results': b'\xff\xfe{'}),
            ('a list', {'results': b'[]'}),
            ('no results', {'results': b'{"code": 200}'}),
            ('results that are none', {'results': b'{"results": [1]}'}),
            ('deep', {'results': b'[' * 10**6}),
            ('not a number', {'results': b'{"results": {"a": NaN}}'}),
            (
                'an agent twice',
                {'results': b'{"results": {"a": {}, "a": {}}}'},
            ),
        ):
            old = {key: getattr(one, key) for key in changes}
            for key, value in changes.items():
                setattr(one, key, value)
            yield way
            for key, value in old.items():
                setattr(one, key, value)


class AnswersTest(Case):
    """Recorded answers of Keylime 7.14.3."""

    def said(self, name):
        self.verifier.results = verifier.recorded(name)
        return self.fetch()

    def test_pass(self):
        found = self.said('two_pass')
        self.assertEqual(
            {'host1': ('good', ''), 'host2': ('good', '')},
            self.states(found),
        )
        one = found.verdicts['host1']
        self.assertEqual(verifier.FIRST, one.agent)
        self.assertEqual(self.verifier.url, one.verifier)
        self.assertTrue(abs(one.reported_at - time.time()) < 5)
        self.assertEqual(
            [('/version', 'attestd'), ('/v2.6/agents/?bulk=true', 'attestd')],
            self.verifier.paths,
        )

    def test_failures(self):
        self.assertEqual(
            {
                'host1': (
                    'failed',
                    'invalid quote (state 9), pcr_validation.invalid_pcr_17',
                ),
                'host2': ('good', ''),
            },
            self.states(self.said('invalid_quote_9')),
        )
        self.assertEqual(
            {
                'host1': ('good', ''),
                'host2': (
                    'failed',
                    'failed (state 7), internal.verifier.not_reachable',
                ),
            },
            self.states(self.said('agent_killed_7')),
        )
        self.assertEqual(
            ('pending', 'started (state 1), PENDING'),
            self.states(self.said('verifier_restarted_pending'))['host1'],
        )

    def test_one_that_cannot_be_understood(self):
        """Is one host's trouble."""
        self.verifier.results = verifier.recorded('two_pass')
        self.verifier.results[verifier.FIRST]['operational_state'] = '3'
        found = self.states(self.fetch())
        self.assertEqual('pending', found['host1'][0])
        self.assertIn('operational_state', found['host1'][1])
        self.assertEqual('good', found['host2'][0])

    def test_nobody_knows_the_share(self):
        self.useFixture(fixtures.FakeLogger(level=1))
        log = self.useFixture(fixtures.FakeLogger(level=1))
        found = self.said('two_pass')
        self.verifier.results[verifier.FIRST]['tpm_policy'] = '{'
        asked = self.asked()
        again = asked.fetch(found)
        self.verifier.results = verifier.body(self.verifier.results)[:-9]
        error = self.assertRaises(provider.ProviderError, asked.fetch, again)
        for text in (
            snapshot.dumps(found), snapshot.dumps(again), str(error),
            log.output,
        ):  # fmt: skip
            self.assertNotIn(verifier.SHARE, text)

    def test_1001_agents(self):
        self.verifier.results = verifier.many(1001)
        self.rule = 'metadata'
        found = self.fetch()
        self.assertEqual('host', found.by)
        self.assertEqual(1001, len(found.verdicts))
        self.assertEqual(
            {'good'}, {state for state, _ in self.states(found).values()}
        )
        self.assertEqual(
            f'000003e8{verifier.FIRST[8:]}',
            found.verdicts['compute1000'].agent,
        )

    def test_without_our_certificate(self):
        """As Keylime says it."""
        self.verifier.answer = lambda path, peer: verifier.Verifier.answer(
            self.verifier, path, ''
        )
        self.assertTrouble('HTTP 403', 'cert_file')

    def test_statuses(self):
        for status in (400, 404, 500):
            self.verifier.status = status
            self.assertTrouble(f'HTTP {status}')

    def test_versions(self):
        for offered, wanted in (
            (['2.0'], '2.0'),
            (['1.0', '2.0', '2.1'], '2.1'),
            (['2.1', '2.10', '2.5', '2.7'], '2.5'),
            (['3.0', '2.6', '2'], '2.6'),
            ([2.6, None, '2.4', 'v2.5', '2.5rc1'], '2.4'),
        ):
            self.verifier.versions = offered
            self.verifier.paths.clear()
            self.fetch()
            self.assertEqual(
                f'/v{wanted}/agents/?bulk=true', self.verifier.paths[1][0]
            )

    def test_no_known_version(self):
        for offered in (['1.0', '3.0'], [], None, '2.6', {'2.6': 1}, ['2.7']):
            self.verifier.versions = offered
            self.assertTrouble('API 2.0 to 2.6')
        self.verifier.versions = b'{'
        self.assertTrouble('that are not understood')

    def test_too_old(self):
        """It is told of the verifier, and not of each host."""
        for results in (
            verifier.many(1000),
            verifier.recorded('two_pass'),
        ):
            for status in results.values():
                # As keylime 7.13, whose API is 2.4.
                del status['attestation_status']
            self.verifier.results = results
            self.verifier.versions = ['2.3', '2.4']
            self.assertTrouble(
                'attestation_status', 'API 2.4', 'upgrade the verifier'
            )
        other = self.another()
        other.results = verifier.recorded('two_pass')
        log = self.useFixture(fixtures.FakeLogger(level=1))
        asked = self.asked(other)
        for _ in range(3):
            found = asked.fetch(NOTHING)
        self.assertIn('upgrade the verifier', found.trouble)
        self.assertEqual(
            {'good'}, {state for state, _ in self.states(found).values()}
        )
        self.assertEqual(1, log.output.count('upgrade the verifier'))
        # An agent alone is that agent's matter.
        results = verifier.recorded('two_pass')
        del results[verifier.FIRST]['attestation_status']
        self.verifier.results = results
        self.assertIn(
            ('pending'),
            {state for state, _ in self.states(self.fetch()).values()},
        )

    def test_upgraded(self):
        """Between two looks."""
        asked = self.asked()
        for versions, wanted in ((['2.1'], '2.1'), (['2.6'], '2.6')):
            self.verifier.versions = versions
            asked.fetch(NOTHING)
            self.assertIn(f'/v{wanted}/', self.verifier.paths[-1][0])

    def test_tls(self):
        other = pki.Authority(self.folder / 'other')
        for certificate, pattern in (
            (other.issue('v'), 'not trusted'),
            (self.pki.issue('expired', expired=True), 'expired'),
            (self.pki.issue('wrong', address='127.0.0.2'), '127.0.0.1'),
        ):
            one = self.another(certificate)
            self.assertTrouble(pattern, url=one.url, verifiers=[one.url])
            self.assertEqual([], one.paths)


class MapTest(Case):
    """Which agent is on which host, one to one or not at all."""

    def setUp(self):
        super().setUp()
        self.verifier.results = verifier.recorded('two_pass')
        self.log = self.useFixture(fixtures.FakeLogger(level=1))

    def test_node_uuid(self):
        self.rule = 'node-uuid'
        self.verifier.results[verifier.FIRST.upper()] = (
            self.verifier.results.pop(verifier.FIRST)
        )
        found = self.fetch()
        self.assertEqual('node', found.by)
        self.assertEqual(
            {verifier.FIRST, verifier.SECOND}, set(found.verdicts)
        )

    def test_metadata(self):
        self.rule = 'metadata'
        for number, status in enumerate(self.verifier.results.values()):
            status['meta_data'] = json.dumps({'host': f'c{number}'})
        self.assertEqual({'c0', 'c1'}, set(self.fetch().verdicts))

    def test_two_agents_on_one_host(self):
        self.rule = 'metadata'
        for status in self.verifier.results.values():
            status['meta_data'] = '{"host": "c0"}'
        asked = self.asked()
        found = asked.fetch(NOTHING)
        ((state, why),) = self.states(found).values()
        self.assertEqual('ambiguous', state)
        for agent in HOSTS.values():
            self.assertIn(agent, why)
        self.assertIsNone(found.verdicts['c0'].good_at)
        # Loudly, but once.
        asked.fetch(found)
        self.assertEqual(1, self.log.output.count('Host c0 does not count'))
        self.verifier.results[verifier.SECOND]['meta_data'] = '{}'
        self.assertEqual({'c0': ('good', '')}, self.states(asked.fetch(found)))
        self.verifier.results[verifier.SECOND]['meta_data'] = '{"host": "c0"}'
        asked.fetch(found)
        self.assertEqual(2, self.log.output.count('Host c0 does not count'))

    def test_names_that_write_lines(self):
        self.rule = 'metadata'
        for status in self.verifier.results.values():
            status['meta_data'] = json.dumps({'host': 'c0\nERROR: \x1b[2J'})
        one = self.verifier.results[verifier.FIRST]
        self.verifier.results['x\n\u202eERROR: y'] = one
        self.asked().fetch(NOTHING)
        self.assertIn(r'Host c0\nERROR: \x1b[2J does not', self.log.output)
        for line in self.log.output.splitlines():
            self.assertTrue(line.isprintable(), ascii(line))
            self.assertFalse(line.startswith('ERROR: '), line)

    def test_two_hosts_with_one_agent(self):
        self.write_hosts({**HOSTS, 'host3': verifier.FIRST.upper()})
        found = self.states(self.fetch())
        self.assertEqual('ambiguous', found['host1'][0])
        self.assertEqual('ambiguous', found['host3'][0])
        self.assertEqual('good', found['host2'][0])

    def test_two_spellings_of_an_agent(self):
        self.verifier.results[verifier.FIRST.upper()] = self.verifier.results[
            verifier.FIRST
        ]
        found = self.states(self.fetch())
        self.assertEqual('ambiguous', found['host1'][0])
        self.assertEqual('good', found['host2'][0])

    def test_agents_without_a_host_and_hosts_without_an_agent(self):
        self.write_hosts({'host1': verifier.FIRST, 'host9': 'absent'})
        self.assertEqual({'host1'}, set(self.fetch().verdicts))

    def test_map_changes(self):
        asked = self.asked()
        self.assertEqual(set(HOSTS), set(asked.fetch(NOTHING).verdicts))
        self.write_hosts({'host1': verifier.SECOND})
        found = asked.fetch(NOTHING)
        self.assertEqual({'host1'}, set(found.verdicts))
        self.assertEqual(verifier.SECOND, found.verdicts['host1'].agent)

    def test_map_is_broken(self):
        asked = self.asked()
        asked.fetch(NOTHING)
        self.hosts_file.write_text('host1\n')
        error = self.assertRaises(provider.ProviderError, asked.fetch, NOTHING)
        self.assertIn('line 1', str(error))

    def test_options(self):
        for name in ('verifiers', 'ca_file', 'cert_file', 'key_file',
                     'host_map'):  # fmt: skip
            options = self.options(**{name: ''})
            self.assertRaisesText(
                provider.ProviderError, name, keylime_provider.KeylimeProvider,
                options, options,
            )  # fmt: skip


class SeveralTest(Case):
    """Several verifiers; one may be down."""

    def setUp(self):
        super().setUp()
        both = verifier.recorded('two_pass')
        self.other = self.another()
        self.verifier.results = {verifier.FIRST: both[verifier.FIRST]}
        self.other.results = {verifier.SECOND: both[verifier.SECOND]}
        self.log = self.useFixture(fixtures.FakeLogger(level=1))

    def renew(self):
        """Newer good quotes; returns of when."""
        at = int(time.time()) + 1
        for one in (self.verifier, self.other):
            for status in one.results.values():
                status['last_successful_attestation'] = at
        return at

    def test_all_answer(self):
        found = self.fetch(self.other)
        self.assertEqual('', found.trouble)
        self.assertEqual(
            [self.verifier.url, self.other.url],
            [found.verdicts[host].verifier for host in sorted(HOSTS)],
        )

    def test_one_is_down(self):
        asked = self.asked(self.other)
        first = asked.fetch(NOTHING)
        at = self.renew()
        for mood in ('hangs up', 'silent', 'drips'):
            self.other.mood = mood
            found = asked.fetch(first)
            self.assertEqual(at, found.verdicts['host1'].good_at)
            self.assertEqual(
                first.verdicts['host2'], found.verdicts['host2'], mood
            )
            self.assertIn(self.other.url, found.trouble)
            self.assertNotIn(self.verifier.url, found.trouble)
        self.assertEqual(1, self.log.output.count('cannot be asked, so'))
        self.other.mood = ''
        found = asked.fetch(first)
        # It was left alone in between.
        while self.other.url in found.trouble:
            found = asked.fetch(first)
        self.assertEqual(at, found.verdicts['host2'].good_at)
        self.assertEqual(1, self.log.output.count('answers again'))

    def test_one_was_never_up(self):
        self.other.mood = 'hangs up'
        found = self.fetch(self.other)
        self.assertEqual({'host1'}, set(found.verdicts))
        self.assertIn(self.other.url, found.trouble)

    def test_the_slow_do_not_delay_the_quick(self):
        self.other.mood = 'silent'
        asked = self.asked(self.other, timeout=20.0, poll_interval=15.0)
        began = time.monotonic()
        found = asked.fetch(NOTHING)
        self.assertTrue(time.monotonic() - began < 10)
        self.assertIn('no answer yet', found.trouble)
        # And it is not asked twice at a time.
        asked.fetch(found)
        self.assertEqual(1, len(self.other.paths))
        self.assertEqual(15.0, asked.pause)

    def test_the_slow_are_waited_for_if_that_is_usual(self):
        self.other.delay = 2.5
        asked = self.asked(self.other, timeout=20.0, poll_interval=0.1)
        asked._verifiers[1]._report = (
            asked._verifiers[1].report()._replace(took=4.0)
        )
        with mock.patch.object(keylime_provider, '_PATIENCE', 0.5):
            found = asked.fetch(NOTHING)
        self.assertEqual('', found.trouble)
        self.assertTrue(asked.pause >= 2.5)

    def test_all_are_down(self):
        asked = self.asked(self.other)
        before = asked.fetch(NOTHING)
        self.verifier.mood = self.other.mood = 'hangs up'
        error = self.assertRaises(provider.ProviderError, asked.fetch, before)
        for one in (self.verifier, self.other):
            self.assertIn(one.url, str(error))

    def test_an_agent_at_both(self):
        self.other.results.update(self.verifier.results)
        asked = self.asked(self.other)
        found = self.states(asked.fetch(NOTHING))
        self.assertEqual('good', found['host2'][0])
        state, why = found['host1']
        self.assertEqual('ambiguous', state)
        self.assertIn(self.verifier.url, why)
        self.assertIn(self.other.url, why)
        self.assertIn('Host host1 does not count', self.log.output)
        # Also where one of them cannot be asked any more.
        self.other.mood = 'hangs up'
        found = self.states(asked.fetch(NOTHING))
        self.assertEqual('ambiguous', found['host1'][0])

    def test_moved(self):
        """An agent that left the one and came to the other."""
        asked = self.asked(self.other)
        asked.fetch(NOTHING)
        self.other.results.update(self.verifier.results)
        self.verifier.results = {}
        found = asked.fetch(NOTHING)
        self.assertEqual(self.other.url, found.verdicts['host1'].verifier)

    def test_named_twice(self):
        url = self.verifier.url
        found = self.fetch(verifiers=[url, f'{url}/', url])
        self.assertEqual({'host1': ('good', '')}, self.states(found))
        self.assertEqual(2, len(self.verifier.paths))


class PaceTest(Case):
    """How often, and for how long."""

    def test_pause(self):
        asked = self.asked(poll_interval=0.1)
        asked.fetch(NOTHING)
        self.assertTrue(asked.pause >= 0.1)
        self.verifier.delay = 1.0
        asked.fetch(NOTHING)
        self.assertTrue(1.0 <= asked.pause < 2.0, asked.pause)
        self.verifier.delay = 0.0
        asked.fetch(NOTHING)
        self.assertTrue(asked.pause < 1.0)

    def test_close_ends_a_fetch(self):
        self.verifier.mood = 'silent'
        asked = self.asked(timeout=60.0)
        timer = threading.Timer(0.5, asked.close)
        timer.start()
        self.addCleanup(timer.join)
        began = time.monotonic()
        self.assertRaises(provider.ProviderError, asked.fetch, NOTHING)
        self.assertTrue(time.monotonic() - began < 10)

    def test_in_a_source(self):
        """Once around: thread, poll, newer quote, end."""
        self.verifier.results = verifier.recorded('two_pass')
        known = refresher.Refresher(
            self.asked(poll_interval=0.1), max_age=60, clock_skew=5
        )
        known.start()
        self.addCleanup(known.stop)

        def wait(condition):
            until = time.monotonic() + 20
            while not condition():
                self.assertTrue(time.monotonic() < until)
                time.sleep(0.02)

        wait(lambda: known.snapshot.verdicts)
        newer = int(time.time()) + 2
        self.verifier.results[verifier.FIRST][
            'last_successful_attestation'
        ] = newer
        wait(lambda: known.snapshot.verdicts['host1'].good_at == newer)
