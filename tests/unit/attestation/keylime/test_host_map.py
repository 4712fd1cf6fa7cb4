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
import os
import pathlib

import fixtures
import hypothesis
from hypothesis import strategies as st

from nova_isolation.attestation import provider
from nova_isolation.attestation.keylime import agent_record
from nova_isolation.attestation.keylime import host_map
from tests.unit import base

A = 'aaaaaaaa-0000-4000-8000-000000000001'
B = 'bbbbbbbb-0000-4000-8000-000000000002'


def record(host=''):
    return agent_record.Record('{}', 1.0, 1.0, host)


class Files(base.TestCase):
    def setUp(self):
        super().setUp()
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.path = folder / 'hosts'
        self.map = host_map.HostMap(str(self.path))

    def write(self, text):
        new = self.path.with_suffix('.new')
        new.write_bytes(text if isinstance(text, bytes) else text.encode())
        new.rename(self.path)

    def mapped(self, text):
        self.write(text)
        return self.map.map(())


class MapFileTest(Files):
    """One ``HOST AGENT`` a line."""

    def test_file(self):
        self.assertEqual('host', self.map.by)
        found = self.mapped(
            f'# hosts of the cloud\n\n'
            f'compute1 {A}\n'
            f'\tcompute2.example.org\t{B.upper()} # a comment\r\n'
            f'Compute1 d432fbb3d2f14a97\n'
        )
        self.assertEqual(
            {
                'compute1': A,
                'compute2.example.org': B,
                'Compute1': 'd432fbb3d2f14a97',
            },
            found.agents,
        )
        self.assertEqual({}, found.ambiguous)

    def test_empty(self):
        for text in ('', '\n\n', '# nobody'):
            self.assertEqual(({}, {}), self.mapped(text))

    def test_twice_the_same(self):
        found = self.mapped(f'c1 {A}\nc1 {A.upper()}\n')
        self.assertEqual(({'c1': A}, {}), found)

    def test_host_with_two_agents(self):
        found = self.mapped(f'c1 {A}\nc1 {B}\nc2 other\n')
        self.assertEqual({'c2': 'other'}, found.agents)
        self.assertEqual({'c1'}, set(found.ambiguous))
        self.assertIn(A, found.ambiguous['c1'])
        self.assertIn(B, found.ambiguous['c1'])

    def test_agent_with_two_hosts(self):
        found = self.mapped(f'c1 {A}\nc2 {A.upper()}\nc3 {B}\n')
        self.assertEqual({'c3': B}, found.agents)
        self.assertEqual({'c1', 'c2'}, set(found.ambiguous))
        for why in found.ambiguous.values():
            self.assertIn(A, why)
            self.assertIn('c1, c2', why)

    def test_in_a_chain(self):
        found = self.mapped(f'c1 {A}\nc1 {B}\nc2 {B}\nc2 x\nc3 x\nc4 y')
        self.assertEqual({'c4': 'y'}, found.agents)
        self.assertEqual({'c1', 'c2', 'c3'}, set(found.ambiguous))

    def test_malformed_line(self):
        self.write(f'c1 {A}\n')
        self.map.map(())
        for line in ('c2', f'c2 {B} c3', f'c2 {B}/..', f'c2 "{B}"', '=c2 '):
            error = self.assertRaises(
                provider.ProviderError, self.mapped, f'c1 {A}\n{line}\n'
            )
            for part in (str(self.path), 'line 2', 'HOST AGENT', line):
                self.assertIn(part, str(error))
            # Not only once.
            self.assertRaises(provider.ProviderError, self.map.map, ())
        self.assertEqual({'c1': B}, self.mapped(f'c1 {B}\n').agents)

    def test_unreadable(self):
        for make in (
            lambda: None,
            lambda: self.path.mkdir(),
            lambda: (self.path.rmdir(), self.write(b'c1 \xff\n')),
            lambda: self.write(b'#' * (16 * 2**20 + 1)),
        ):
            make()
            error = self.assertRaises(provider.ProviderError, self.map.map, ())
            self.assertIn(str(self.path), str(error))

    def test_read_again_only_when_changed(self):
        first = self.mapped(f'c1 {A}\n')
        os.utime(self.path, ns=(1, 1))
        self.map.map(())
        with open(self.path, 'r+b') as file:
            file.write(b'X')
        os.utime(self.path, ns=(1, 1))
        self.assertEqual(first, self.map.map(()))
        os.utime(self.path, ns=(1, 2))
        self.assertEqual({'X1': A}, self.map.map(()).agents)

    @hypothesis.given(
        st.lists(
            st.tuples(st.sampled_from('abcde'), st.sampled_from('vwxyz')),
            max_size=12,
        )
    )
    def test_one_to_one(self, pairs):
        """Each host and each agent once; who is left out is told."""
        found = self.mapped(
            ''.join(f'{host} {agent}\n' for host, agent in pairs)
        )
        agents = list(found.agents.values())
        self.assertEqual(len(agents), len(set(agents)))
        self.assertEqual(
            {host for host, _ in pairs},
            found.agents.keys() | found.ambiguous.keys(),
        )
        self.assertFalse(found.agents.keys() & found.ambiguous.keys())
        for host, agent in found.agents.items():
            self.assertEqual(
                {(host, agent)},
                {pair for pair in pairs if host in pair or agent in pair},
            )


class RuleTest(base.TestCase):
    """Without a file."""

    def test_none(self):
        self.assertRaisesText(
            provider.ProviderError, 'host_map', host_map.HostMap, ''
        )

    def test_node_uuid(self):
        by_node = host_map.HostMap('node-uuid')
        self.assertEqual('node', by_node.by)
        found = by_node.map([(A, record('c1')), (B, record())])
        self.assertEqual(({A: A, B: B}, {}), found)

    def test_metadata(self):
        by_host = host_map.HostMap('metadata')
        self.assertEqual('host', by_host.by)
        found = by_host.map(
            [(A, record('c1')), (B, record('C1')), ('other', record())]
        )
        self.assertEqual(({'c1': A, 'C1': B}, {}), found)

    def test_metadata_two_agents_name_one_host(self):
        by_host = host_map.HostMap('metadata')
        found = by_host.map(
            [(A, record('c1')), (B, record('c1')), ('x', record('c2'))]
        )
        self.assertEqual({'c2': 'x'}, found.agents)
        self.assertEqual({'c1'}, set(found.ambiguous))

    def test_metadata_one_agent_names_two_hosts(self):
        """At two verifiers."""
        by_host = host_map.HostMap('metadata')
        found = by_host.map([(A, record('c1')), (A, record('c2'))])
        self.assertEqual({}, found.agents)
        self.assertEqual({'c1', 'c2'}, set(found.ambiguous))

    def test_names(self):
        self.assertEqual(A, host_map.normal(A.upper()))
        for other in ('Host1', 'ABC.def', A.upper() + 'A', f' {A.upper()}'):
            self.assertEqual(other, host_map.normal(other))

    def test_many_agents_on_a_host(self):
        """The message stays short."""
        by_host = host_map.HostMap('metadata')
        found = by_host.map(
            [(f'agent{number}', record('c1')) for number in range(100)]
        )
        self.assertIn('and 96 more', found.ambiguous['c1'])
        self.assertTrue(len(json.dumps(found.ambiguous)) < 200)
