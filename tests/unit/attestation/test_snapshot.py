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


import contextlib
import dataclasses
import json
import types

import hypothesis
from hypothesis import strategies as st

from nova_isolation.attestation import snapshot
from nova_isolation.mechanisms.attested import attestation_result
from tests.unit import base
from tests.unit.mechanisms.attested import test_attestation_result

moments = st.none() | st.floats(allow_nan=False, allow_infinity=False)
verdicts = st.builds(
    snapshot.Verdict,
    test_attestation_result.standings.map(attestation_result.dumps),
    moments,
    moments,
    st.text(max_size=10),
    st.text(max_size=10),
)
snapshots = st.builds(
    snapshot.Snapshot,
    st.sampled_from((snapshot.BY_HOST, snapshot.BY_NODE)),
    st.dictionaries(st.text(max_size=10), verdicts, max_size=4).map(
        types.MappingProxyType
    ),
    st.text(max_size=10),
    st.text(max_size=10),
)


class SnapshotTest(base.TestCase):
    """A snapshot and its text."""

    @hypothesis.given(snapshots)
    def test_round_trip(self, one):
        text = snapshot.dumps(one)
        self.assertEqual(one, snapshot.loads(text, one.serial))
        self.assertEqual(one, snapshot.loads(text.encode(), one.serial))
        # The serial is the provider's own.
        self.assertEqual('', snapshot.loads(text).serial)

    @hypothesis.given(st.text(max_size=80) | st.binary(max_size=40))
    def test_garbage(self, text):
        self.assertRaises(snapshot.SnapshotError, snapshot.loads, text)

    @hypothesis.given(snapshots, st.data())
    def test_damaged(self, one, data):
        """Never anything but SnapshotError; a cut is never whole."""
        text = snapshot.dumps(one)
        at = data.draw(st.integers(0, len(text) - 1))
        self.assertRaises(snapshot.SnapshotError, snapshot.loads, text[:at])
        other = data.draw(st.characters())
        with contextlib.suppress(snapshot.SnapshotError):
            snapshot.loads(text[:at] + other + text[at + 1 :])

    json_values = st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=5)
            | st.dictionaries(st.text(max_size=5), inner, max_size=3)
        ),
        max_leaves=8,
    )

    @hypothesis.given(
        st.dictionaries(
            st.sampled_from(('v', 'by', 'documents', 'hosts', 'trouble')),
            json_values,
        )
    )
    def test_other_json(self, changes):
        value = {**json.loads(snapshot.dumps(snapshot.Snapshot())), **changes}
        try:
            found = snapshot.loads(json.dumps(value))
        except snapshot.SnapshotError:
            return
        self.assertIsInstance(found.trouble, str)
        self.assertEqual(snapshot.VERSION, value['v'])

    def test_malformed(self):
        good = json.loads(
            snapshot.dumps(
                snapshot.Snapshot(
                    verdicts={'h': snapshot.Verdict('{}', 1.5, 2, 'a', 'v')}
                )
            )
        )
        self.assertEqual([0, 1.5, 2, 'a', 'v'], good['hosts']['h'])
        self.assertEqual({'h'}, set(snapshot.loads(json.dumps(good)).verdicts))
        rows = (
            [],
            [0],
            [0, 1, 2, 'a'],
            [0, 1, 2, 'a', 'v', 6],
            [1, 1, 2, 'a', 'v'],
            [-1, 1, 2, 'a', 'v'],
            [False, 1, 2, 'a', 'v'],
            [0.0, 1, 2, 'a', 'v'],
            ['0', 1, 2, 'a', 'v'],
            [0, True, 2, 'a', 'v'],
            [0, '1', 2, 'a', 'v'],
            [0, [1], 2, 'a', 'v'],
            [0, 1, 10**400, 'a', 'v'],
            [0, float('nan'), 2, 'a', 'v'],
            [0, float('inf'), 2, 'a', 'v'],
            [0, 1, 2, None, 'v'],
            [0, 1, 2, 'a', 7],
            None,
            7,
        )
        for changes in (
            *({'hosts': {'h': row}} for row in rows),
            {'v': 2},
            {'v': '1'},
            {'v': 1.0},
            {'v': True},
            {'v': None},
            {'by': 'Host'},
            {'by': ['host']},
            {'by': {}},
            {'trouble': None},
            {'documents': None},
            {'documents': [None]},
            {'documents': 7},
            {'hosts': []},
            {'hosts': None},
        ):
            self.assertRaises(
                snapshot.SnapshotError,
                snapshot.loads,
                json.dumps({**good, **changes}),
            )
        for name in good:
            less = {key: good[key] for key in good if key != name}
            self.assertRaises(
                snapshot.SnapshotError, snapshot.loads, json.dumps(less)
            )
        for text in ('', 'null', '[]', '7', '[' * 10**5, '"v"', b'\xff'):
            self.assertRaises(snapshot.SnapshotError, snapshot.loads, text)

    def test_alike_hosts_share_a_document(self):
        one = snapshot.Verdict('{"long":"document"}', 1, 2, 'a', 'v')
        text = snapshot.dumps(
            snapshot.Snapshot(verdicts={str(n): one for n in range(100)})
        )
        self.assertEqual(1, text.count('long'))
        found = snapshot.loads(text)
        self.assertEqual(
            1, len({id(each.document) for each in found.verdicts.values()})
        )

    def test_is_not_changed(self):
        found = snapshot.loads(snapshot.dumps(snapshot.Snapshot()))
        self.assertIsInstance(found.verdicts, types.MappingProxyType)
        self.assertRaises(
            dataclasses.FrozenInstanceError, setattr, found, 'by', 'node'
        )

    def test_no_time_that_is_none(self):
        for moment in (float('nan'), float('inf')):
            one = snapshot.Verdict('{}', moment, 1, 'a', 'v')
            self.assertRaises(
                ValueError,
                snapshot.dumps,
                snapshot.Snapshot(verdicts={'h': one}),
            )
