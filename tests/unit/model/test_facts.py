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

"""Tests of nova_isolation.model.facts."""

import json
import operator
import os

import hypothesis
from hypothesis import strategies as st

from nova_isolation.host import bounded_calls
from nova_isolation.host import measurement
from nova_isolation.mechanisms import registry
from nova_isolation.model import facts
from nova_isolation.probes import emulator
from tests.unit import base
from tests.unit import fakes
from tests.unit import strategies


class LoadsTest(base.TestCase):
    """A document from the network: anything can come."""

    def refused(self, text, code):
        error = self.assertRaises(facts.FactsError, facts.loads, text)
        self.assertEqual(f'isolation.facts.{code}', error.reason.code)
        self.assertTrue(error.found)

    def test_good(self):
        read = facts.loads('{"v":1,"a":{"b":[1]},"c":null}')
        self.assertEqual({'a': {'b': [1]}, 'c': None}, dict(read.sections))
        self.assertRaises(TypeError, operator.setitem, read.sections, 'a', {})

    def test_missing(self):
        for text in (None, ''):
            self.refused(text, 'missing')

    def test_not_text(self):
        for value in (
            b'{"v":1}', 1, 0, 1.5, True, False, {'v': 1}, {}, [], object(),
        ):  # fmt: skip
            self.refused(value, 'malformed')

    def test_not_json(self):
        for text in (
            ' ', '{', '}', '{"v":1', "{'v':1}", '{"v":1}x', '{"v":1}{"v":1}',
            '{"v":1,}', '\0', '\ufeff{"v":1}', '{"v":1,"a":\ud800}',
            '{"v":1,"a":01}', '{"v":1,"a":.5}', '{"v":1,"a":"\n"}',
        ):  # fmt: skip
            self.refused(text, 'malformed')

    def test_not_an_object(self):
        for text in ('[]', '1', 'null', 'true', '"v"', '[{"v":1}]'):
            self.refused(text, 'malformed')

    def test_not_numbers(self):
        for word in ('NaN', 'Infinity', '-Infinity'):
            self.refused(f'{{"v":{word}}}', 'malformed')
            self.refused(f'{{"v":1,"a":{word}}}', 'malformed')
            self.refused(f'{{"v":1,"a":[{{"b":{word}}}]}}', 'malformed')

    def test_schema(self):
        for text in (
            '{}', '{"v":null}', '{"v":"1"}', '{"v":1.0}', '{"v":true}',
            '{"v":0}', '{"v":-1}', '{"v":[1]}', '{"v":1e0}', '{"V":1}',
        ):  # fmt: skip
            self.refused(text, 'malformed')

    def test_newer(self):
        for version in (2, 3, 10**30):
            self.refused(f'{{"v":{version}}}', 'newer_schema')
            self.refused(f'{{"v":{version},"svirt":{{}}}}', 'newer_schema')

    def test_twins(self):
        for text in (
            '{"v":1,"v":1}',
            '{"v":2,"v":1}',
            '{"v":1,"a":1,"a":2}',
            '{"v":1,"a":{"b":1,"b":1}}',
            '{"v":1,"a":1,"\\u0061":1}',
        ):
            self.refused(text, 'malformed')

    def test_nesting(self):
        for text in (
            '[' * 1024,
            '{"v":1,"a":' + '[' * 400 + ']' * 400 + '}' + ' ' * 300,
            '{"a":' * 170,
        ):
            self.refused(text, 'malformed')

    def test_size(self):
        fits = '{"v":1}' + ' ' * (facts.MAX_BYTES - 7)
        facts.loads(fits)
        self.refused(fits + ' ', 'malformed')
        self.refused('x' * 10**7, 'malformed')

    def test_size_is_bytes(self):
        text = '{"v":1,"a":"' + '\u20ac' * 400 + '"}'
        self.assertLess(len(text), facts.MAX_BYTES)
        self.refused(text, 'malformed')

    def test_deep_but_small_is_bounded(self):
        text = '{"v":1,"a":' + '[' * 500 + ']' * 500 + '}'
        self.assertEqual(['a'], list(facts.loads(text).sections))

    @hypothesis.given(
        st.text() | st.binary() | strategies.json_values.map(json.dumps)
    )
    def test_anything_is_read_or_refused(self, value):
        try:
            facts.loads(value)
        except facts.FactsError as error:
            self.assertTrue(error.reason.remedy)
            self.assertIn(error.reason.code, facts.UNREADABLE)


class DumpsTest(base.TestCase):
    """The same facts give the same text, at most 1 KB."""

    def test_equal_facts_give_equal_documents(self):
        one = {'b': {'x': 1, 'y': None}, 'a': ['1']}
        two = {'a': ['1'], 'b': {'y': None, 'x': 1}}
        self.assertEqual(facts.dumps(one), facts.dumps(two))

    def test_compact(self):
        self.assertEqual(
            '{"a":{"b":[1,2]},"v":1}', facts.dumps({'a': {'b': [1, 2]}})
        )

    def test_size(self):
        room = facts.MAX_BYTES - len(facts.dumps({'a': ''}))
        self.assertEqual(facts.MAX_BYTES, len(facts.dumps({'a': 'x' * room})))
        self.assertRaisesText(
            ValueError,
            "1025 bytes, at most 1024.*'a': ",
            facts.dumps,
            {'a': 'x' * (room + 1)},
        )

    def test_size_is_bytes(self):
        text = facts.dumps({'a': '\u20ac' * 150})
        self.assertEqual(len(text.encode()), len(text))
        self.assertRaises(ValueError, facts.dumps, {'a': '\u20ac' * 400})

    def test_not_json(self):
        deep = []
        for _ in range(100000):
            deep = [deep]
        for value in (
            float('nan'), float('inf'), {1, 2}, object(), b'x',
            {'a': 1, 2: 3}, {('a',): 1}, deep,
        ):  # fmt: skip
            self.assertRaises(ValueError, facts.dumps, {'a': value})

    def test_no_mechanism_can_set_the_schema(self):
        self.assertEqual('{"v":1}', facts.dumps({'v': 7}))

    @hypothesis.given(st.dictionaries(st.text(), strategies.json_values))
    def test_round_trip(self, sections):
        sections.pop('v', None)
        try:
            text = facts.dumps(sections)
        except ValueError:
            return
        self.assertEqual(sections, dict(facts.loads(text).sections))
        self.assertLessEqual(len(text.encode()), facts.MAX_BYTES)


class SizeTest(base.TestCase):
    """Documents of hosts."""

    def document(self, host):
        text = measurement.measure(
            host, registry.get(), bounded_calls.BoundedCalls(30)
        ).document
        self.assertTrue(text)
        return text

    def test_largest_plausible_host(self):
        host = fakes.Host(
            {**fakes.SELINUX_MLS, **fakes.APPARMOR_ON, fakes.FIPS: '1'},
            ('selinux', 'apparmor', 'dac'),
            emulator=fakes.emulator(types=fakes.ALL_TYPES),
            certifications=[
                'LSPP', 'RBACPP', 'CAPP', 'FIPS_140_2', 'FIPS_140_3',
                'COMMON_CRITERIA_EAL4', 'PCI_DSS_4', 'ISO_27001',
                'BSI_C5_2020', 'SECNUMCLOUD_3_2',
            ],
            svirt_types=[
                'svirt_t', 'svirt_tcg_t', 'svirt_kvm_net_t',
                'svirt_mls_secret_t', 'customer_guest_t',
            ],
        )  # fmt: skip
        self.assertLess(len(self.document(host)), facts.MAX_BYTES * 3 // 4)

    def test_real_host(self):
        host = fakes.Host(
            models=('dac',),
            domain='qemu',
            emulator=emulator.examine('/usr/bin/qemu-system-x86_64', 60),
        )
        host.read = _read
        self.assertLess(len(self.document(host)), facts.MAX_BYTES // 2)

    def test_alike_hosts_have_equal_documents(self):
        one = fakes.Host(
            fakes.SELINUX_MCS,
            ('selinux', 'dac'),
            emulator=fakes.emulator(inode=1),
            certifications=['CAPP', 'LSPP'],
            svirt_types=['b_t', 'a_t', 'a_t'],
        )
        two = fakes.Host(
            dict(reversed(fakes.SELINUX_MCS.items())),
            ('dac', 'selinux'),
            emulator=fakes.emulator(inode=2),
            certifications=['LSPP', 'CAPP', 'LSPP'],
            svirt_types=['a_t', 'b_t'],
        )
        self.assertEqual(self.document(one), self.document(two))


def _read(path):
    with open(path, errors='surrogateescape') as stream:
        return stream.read(os.stat(path).st_size or 4096)


class ViolatedTest(base.TestCase):
    """A section that a running guest violates."""

    def test_whose(self):
        for by in ('', 'guest a'):
            text = facts.dumps({'a': facts.violated(by)})
            section = facts.loads(text).sections['a']
            self.assertEqual(by, facts.violated_by(section))

    def test_other_sections(self):
        for section in (
            None, 1, '', 'violated', [], ['violated'], {}, {'a': 1},
            {'violated': '', 'a': 1},
        ):  # fmt: skip
            self.assertIsNone(facts.violated_by(section))

    def test_whose_it_is_may_be_anything(self):
        # From the network: that it is violated counts all the same.
        for by in (None, 1, [], {}, True):
            self.assertEqual('', facts.violated_by({'violated': by}))
