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
import time

import hypothesis
from hypothesis import strategies as st

from nova_isolation.attestation.keylime import agent_record
from nova_isolation.mechanisms.attested import attestation_result
from tests.unit import base
from tests.unit.attestation.keylime import verifier

NOW = 1_800_000_000
PCR = '49388f2c577cf36103b4d4ecffc4bf1dba9c1bd5023af3781bc794d1f94eba7a'


def status(name='two_pass', agent=verifier.FIRST, **changes):
    """A recorded status, changed; None leaves a name out."""
    one = {**verifier.recorded(name, NOW)[agent], **changes}
    return {key: value for key, value in one.items() if value is not ...}


def reduced(value):
    """As it comes from the parser."""
    return json.loads(json.dumps(value), object_pairs_hook=agent_record.reduce)


def read(*args, **changes):
    return agent_record.read(reduced(status(*args, **changes)), NOW)


def held(*args, **changes):
    return attestation_result.loads(read(*args, **changes).document)


class Record(base.TestCase):
    def assertUnclear(self, pattern, **changes):
        """No trust, the times unknown, and it is told why."""
        found = read(**changes)
        one = attestation_result.loads(found.document)
        self.assertEqual(attestation_result.PENDING, one.state)
        self.assertIn("the verifier's status is not understood: ", one.found)
        self.assertIn(pattern, one.found)
        self.assertIsNone(found.good_at)
        self.assertEqual((), one.pcrs)
        self.assertTrue(len(one.found) < 250)


class RecordedTest(Record):
    """As Keylime 7.14.3 said it."""

    def test_good(self):
        found = read()
        self.assertEqual(
            attestation_result.AttestationResult(
                attestation_result.GOOD, '', (f'17={PCR}',)
            ),
            attestation_result.loads(found.document),
        )
        self.assertTrue(NOW - 5 <= found.good_at <= NOW)
        self.assertEqual(NOW, found.reported_at)
        self.assertEqual('', found.host)

    def test_invalid_quote(self):
        found = read('invalid_quote_9')
        one = attestation_result.loads(found.document)
        self.assertEqual(attestation_result.FAILED, one.state)
        self.assertEqual(
            'invalid quote (state 9), pcr_validation.invalid_pcr_17',
            one.found,
        )
        self.assertEqual((f'17={PCR}',), one.pcrs)
        # Of when the quote came, not of when we asked.
        raw = status('invalid_quote_9')
        self.assertEqual(raw['last_received_quote'], found.reported_at)
        self.assertEqual(raw['last_successful_attestation'], found.good_at)

    def test_agent_is_dead(self):
        found = read('agent_killed_7', verifier.SECOND)
        one = attestation_result.loads(found.document)
        self.assertEqual(attestation_result.FAILED, one.state)
        self.assertEqual(
            'failed (state 7), internal.verifier.not_reachable', one.found
        )
        self.assertEqual(NOW, found.reported_at)

    def test_recovered(self):
        """The event of the failure stays in the record."""
        self.assertEqual(
            'pcr_validation.invalid_pcr_17',
            status('reactivated')['last_event_id'],
        )
        self.assertEqual(held(), held('reactivated'))

    def test_verifier_was_restarted(self):
        one = held('verifier_restarted_pending')
        self.assertEqual(attestation_result.PENDING, one.state)
        self.assertEqual('started (state 1), PENDING', one.found)

    def test_never_launched(self):
        """What that means, the mechanism says."""
        one = held('never_launched_pass')
        policies = [
            attestation_result.loads(
                agent_record.read(reduced(value), NOW).document
            ).pcrs
            for value in verifier.recorded('never_launched_pass').values()
        ]
        self.assertIn((f'17={"f" * 64}',), policies)
        self.assertEqual(attestation_result.GOOD, one.state)

    def test_policy_without_pcr_17(self):
        policies = [
            attestation_result.loads(
                agent_record.read(reduced(value), NOW).document
            ).pcrs
            for value in verifier.recorded('no_pcr17_pass').values()
        ]
        self.assertIn((f'0={"0" * 64}',), policies)


class StateTest(Record):
    """Good is one combination; all else is not."""

    def test_states(self):
        for state in (3, 5):
            self.assertEqual(
                attestation_result.GOOD, held(operational_state=state).state
            )
        for state in (0, 1, 2, 4, 6, 8, 11, -1, 10**9):
            one = held(operational_state=state)
            self.assertEqual(attestation_result.PENDING, one.state)
            self.assertIn(f'(state {state})', one.found)
        for state in (7, 9, 10):
            self.assertEqual(
                attestation_result.FAILED, held(operational_state=state).state
            )

    def test_words(self):
        for word, state in (
            ('PASS', attestation_result.GOOD),
            ('FAIL', attestation_result.FAILED),
            ('PENDING', attestation_result.PENDING),
            ('TIMEOUT', attestation_result.PENDING),
            ('pass', attestation_result.PENDING),
            ('', attestation_result.PENDING),
        ):
            self.assertEqual(state, held(attestation_status=word).state)

    def push(self, word, **changes):
        """The result of an agent in push mode that has no state."""
        return held(
            **{
                'operational_state': None,
                'attestation_status': word,
                'attestation_count': 0,
                'last_received_quote': None,
                'last_successful_attestation': None,
                'last_event_id': None,
                **changes,
            }
        )

    def test_push_mode(self):
        """As process_get_status of Keylime 7.14.3 words it."""
        for word, state, found in (
            ('FAIL', 'failed', 'FAIL, no operational state'),
            ('PENDING', 'pending', 'no operational state, PENDING'),
            ('TIMEOUT', 'pending', 'the agent has sent no quote in time'),
            ('RETRY', 'pending', "'RETRY', which is unknown"),
            # A good quote sets the state.
            ('PASS', 'pending', 'operational_state'),
        ):
            one = self.push(word)
            self.assertEqual(state, one.state)
            self.assertIn(found, one.found)
            # The good quote that it had counts for nothing.
            self.assertEqual(
                state,
                self.push(
                    word,
                    attestation_count=7,
                    last_successful_attestation=NOW,
                ).state,
            )
        # After its first good quote it has the state of the others.
        for word, state, found in (
            ('PASS', 'good', ''),
            ('FAIL', 'failed', 'FAIL, key share delivered (state 5)'),
            ('TIMEOUT', 'pending', '(state 5), TIMEOUT: the agent'),
        ):
            one = held(attestation_status=word, last_event_id=None)
            self.assertEqual(state, one.state)
            self.assertIn(found, one.found)

    def test_failure_that_is_not_understood(self):
        """It is a failure whatever else the status has."""
        for changes in (
            {'operational_state': [3]},
            {'operational_state': '9'},
            {'operational_state': True},
            {'tpm_policy': None},
            {'tpm_policy': '{'},
            {'attestation_count': None},
            {'last_received_quote': 'x'},
            {'has_mb_refstate': ...},
        ):
            found = read(attestation_status='FAIL', **changes)
            one = attestation_result.loads(found.document)
            self.assertEqual(attestation_result.FAILED, one.state, changes)
            self.assertIn('not understood', one.found)
            # An older quote is not a newer one.
            self.assertEqual(
                status()['last_successful_attestation'], found.good_at
            )
        self.assertIsNone(
            read(
                attestation_status='FAIL', last_successful_attestation='x'
            ).good_at
        )

    def test_never_a_good_quote(self):
        for changes in (
            {'attestation_count': 0},
            {'attestation_count': -1},
            {'last_successful_attestation': 0},
            {'last_successful_attestation': None},
        ):
            one = held(**changes)
            self.assertEqual(attestation_result.PENDING, one.state, changes)
            self.assertIn('never a good quote', one.found)
        self.assertIsNone(read(last_successful_attestation=0).good_at)

    def test_times_are_the_verifiers(self):
        """Stale or of the future: it is judged when somebody asks."""
        for at in (1, NOW - 10**6, NOW + 10**6, NOW + 0.5):
            found = read(last_successful_attestation=at)
            self.assertEqual(at, found.good_at)
            self.assertEqual(
                attestation_result.GOOD,
                attestation_result.loads(found.document).state,
            )

    def test_boot_and_runtime(self):
        for value in (0, 1, False, True):
            self.assertEqual(bool(value), held(has_mb_refstate=value).boot)
            self.assertEqual(
                bool(value), held(has_runtime_policy=value).runtime
            )

    def test_unknown_fields(self):
        self.assertEqual(
            read(), read(new='x', newer={'v': [1]}, ip=None, hash_alg=7)
        )

    def test_event_of_a_failure(self):
        for event in (None, 7, '', 'a b', 'x' * 61, 'é', '<script>'):
            self.assertEqual(
                'invalid quote (state 9)',
                held('invalid_quote_9', last_event_id=event).found,
            )

    def test_metadata(self):
        for text, host in (
            ('{"host": "compute1"}', 'compute1'),
            ('{"host": "Compute1.example.org", "x": 1}',
             'Compute1.example.org'),
            ('{}', ''),
            ('', ''),
            ('{"host": 1}', ''),
            ('{"host"', ''),
            ('[]', ''),
            ('[' * 10**5, ''),
            (None, ''),
            ({'host': 'compute1'}, ''),
        ):  # fmt: skip
            found = read(meta_data=text)
            self.assertEqual(host, found.host)
            # No part of the verdict.
            self.assertEqual(read().document, found.document)

    def test_webhooks_words_are_not_read(self):
        self.assertEqual(read(), read(severity_level=6, last_event_id='x'))


class UnclearTest(Record):
    """What is needed is there, and of the right type."""

    def test_missing(self):
        for name in agent_record.FIELDS:
            if name in ('last_event_id', 'meta_data'):
                self.assertEqual(read(), read(**{name: ...}))
            else:
                self.assertUnclear(f'no {name}', **{name: ...})

    def test_wrong_types(self):
        for name, values in {
            'operational_state': ('3', 3.0, True, None, [3]),
            'attestation_status': (None, 1, ['PASS'], True),
            'attestation_count': (None, '1', 1.0, True),
            'last_received_quote': ('1', True, -1, 1e12, {}),
            'last_successful_attestation': ('1', True, -1, 1e12, 10**30),
            'tpm_policy': (None, {}, 17, []),
            'has_mb_refstate': (None, 2, '1', 1.0, -1),
            'has_runtime_policy': (None, 2, '1', 1.0, -1),
        }.items():
            for value in values:
                self.assertUnclear(name, **{name: value})

    def test_no_object(self):
        for value in (None, 1, 'PASS', [], [1]):
            found = agent_record.read(value, NOW)
            self.assertEqual(
                attestation_result.PENDING,
                attestation_result.loads(found.document).state,
            )

    def test_tpm_policy(self):
        """Strict; D is a digest."""
        for policy in (
            '', '17', '[]', 'null', '{', '{"17"}', '[' * 10**5,
            '{"17": "D"}',
            '{"17": []}',
            '{"17": [1]}',
            '{"17": null}',
            '{"17": ["D", null]}',
            '{"17": ["D"], "17": ["D"]}',
            '{"24": ["D"]}',
            '{"-1": ["D"]}',
            '{"017": ["D"]}',
            '{"1e1": ["D"]}',
            '{" 17": ["D"]}',
            '{"\u0661\u0667": ["D"]}',
            '{"17": ["0xD"]}',
            '{"17": ["aD"]}',
            '{"17": ["D\\n"]}',
            '{"17": ["D,D"]}',
            '{"17": [""]}',
            '{"17": ["G"]}'.replace('G', 'g' * 64),
            '{"17": ["G"]}'.replace('G', '\uff11' * 64),
            '{"PCR17": ["D"]}',
        ):  # fmt: skip
            self.assertUnclear(
                'tpm_policy', tpm_policy=policy.replace('D', PCR)
            )
        # A policy that is none is no other state either.
        self.assertUnclear('tpm_policy', tpm_policy='{', operational_state=9)

    def test_long_policies_are_not_kept(self):
        """What a verifier says does not fill the memory."""
        agent_record._kept.cache_clear()
        policy = json.dumps({'17': [PCR] * 1000})
        self.assertEqual(1, len(held(tpm_policy=policy).pcrs))
        self.assertEqual(0, agent_record._kept.cache_info().currsize)
        held()
        self.assertEqual(1, agent_record._kept.cache_info().currsize)

    def test_tpm_policies(self):
        for policy, pcrs in (
            ('{}', ()),
            ('{"mask": "0x0"}', ()),
            ('{"17": ["D"]}'.replace('D', PCR.upper()), (f'17={PCR}',)),
            (
                json.dumps(
                    {
                        '18': ['A' * 40],
                        '9': ['b' * 96, 'C' * 128],
                        'mask': '0x40200',
                    }
                ),
                (f'9={"b" * 96},{"c" * 128}', f'18={"a" * 40}'),
            ),
            # Nothing is compared with the first two: Tpm.check_pcrs.
            (
                json.dumps({'10': [PCR], '16': [PCR], '23': [PCR]}),
                (f'23={PCR}',),
            ),
        ):
            self.assertEqual(pcrs, held(tpm_policy=policy).pcrs)

    def test_name_twice(self):
        self.assertRaises(
            ValueError,
            json.loads,
            '{"a": 1, "a": 2}',
            object_pairs_hook=agent_record.reduce,
        )

    json_values = st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False)
        | st.text(max_size=20)
        | st.sampled_from(('PASS', 'FAIL', '{"17": []}')),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text(max_size=5), inner, max_size=3)
        ),
        max_leaves=5,
    )

    @hypothesis.given(
        st.dictionaries(
            st.sampled_from(agent_record.FIELDS), json_values, max_size=5
        )
    )
    def test_anything(self, changes):
        """Whatever is said, a standing comes of it; good only if all is."""
        found = read(**changes)
        one = attestation_result.loads(found.document)
        one.approved()
        if one.state == attestation_result.GOOD:
            self.assertTrue(found.good_at > 0)
            wrong = {
                name: value
                for name, value in changes.items()
                if name in ('operational_state', 'attestation_status')
            }
            self.assertIn(wrong.get('attestation_status', 'PASS'), ('PASS',))
            self.assertIn(wrong.get('operational_state', 3), (3, 5))


class ShareTest(Record):
    """The key share does not outlive the parser."""

    def test_dropped(self):
        whole = {'code': 200, 'results': verifier.recorded('two_pass', NOW)}
        self.assertIn(verifier.SHARE, json.dumps(whole))
        left = reduced(whole)
        self.assertNotIn(verifier.SHARE, repr(left))
        self.assertEqual(200, left['code'])
        self.assertEqual(
            set(agent_record.FIELDS), set(left['results'][verifier.FIRST])
        )

    def test_dropped_without_the_rest(self):
        self.assertEqual({}, reduced({'v': verifier.SHARE}))
        self.assertNotIn(
            verifier.SHARE,
            repr(reduced({'a': {'v': verifier.SHARE, 'x': 1}})),
        )

    def test_in_no_message(self):
        for changes in (
            {'operational_state': 'x'},
            {'tpm_policy': '{'},
            {'tpm_policy': ...},
        ):
            self.assertNotIn(verifier.SHARE, repr(read(**changes)))


class ManyTest(Record):
    def test_1001(self):
        """As large as the reference's: 1.1 MB."""
        text = verifier.body(verifier.many(1001, time.time()))
        self.assertTrue(1.0e6 < len(text) < 1.3e6, len(text))
