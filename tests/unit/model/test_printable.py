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

"""Tests of nova_isolation.model.printable and of those who rely on it."""

import json

import hypothesis
from hypothesis import strategies as st

from nova_isolation.decision import host_facts
from nova_isolation.decision import published
from nova_isolation.https import https_error
from nova_isolation.mechanisms import base as mechanisms_base
from nova_isolation.mechanisms import registry
from nova_isolation.model import errors
from nova_isolation.model import facts
from nova_isolation.model import fault_message
from nova_isolation.model import printable
from nova_isolation.model import reasons
from nova_isolation.model import requirements
from tests.unit import base

#: What a lying host might send: a line of another host, escapes that clear
#: the screen or set the title, carriage return, C1, separators of Unicode,
#: controls of the direction, zero width, a lone surrogate, NUL.
HOSTILE = (
    'kvm\nother-host: accepted',
    'kvm\r\nx',
    '\x1b[2J\x1b[H',
    '\x1b]0;title\x07',
    '\x9b2J',
    '\x85x',
    'a\u2028b\u2029c',
    '\u202eevil\u202c',
    '\u2066a\u2069',
    'a\u200bb\ufeff',
    '\ud800',
    '\0\b\x7f',
    '\U000e0001',
)


class _TestCase(base.TestCase):
    def assertShown(self, text):
        self.assertTrue(text.isprintable(), ascii(text))
        text.encode()


class OneLineTest(_TestCase):
    """One printable line."""

    def test_kept(self):
        for text in (
            '',
            'a b',
            "it's \\n",
            'Gr\u00fc\u00dfe \u4f60\u597d',
            '"',
        ):
            self.assertEqual(text, printable.one_line(text))

    def test_replaced(self):
        self.assertEqual('a\\nb', printable.one_line('a\nb'))
        self.assertEqual('\\x1b[2J', printable.one_line('\x1b[2J'))
        self.assertEqual('\\ud800', printable.one_line('\ud800'))
        self.assertEqual('\\u202e', printable.one_line('\u202e'))
        for text in HOSTILE:
            self.assertShown(printable.one_line(text))

    def test_length(self):
        for text in ('a' * 5000, '\n' * 5000, '\U000e0001' * 5000):
            shown = printable.one_line(text)
            self.assertEqual(printable.MAX_LENGTH, len(shown))
            self.assertTrue(shown.endswith('...'))
        self.assertEqual('a' * 5, printable.one_line('a' * 5, 5))
        self.assertEqual('aa...', printable.one_line('a' * 6, 5))

    def test_objects(self):
        self.assertEqual('no\\n', printable.one_line(OSError('no\n')))
        self.assertEqual('None', printable.one_line(None))

    @hypothesis.given(st.text(st.characters()))
    def test_any_text(self, text):
        shown = printable.one_line(text)
        self.assertShown(shown)
        self.assertEqual(shown, printable.one_line(shown))


class EverywhereTest(_TestCase):
    """Where words of another host become part of a message."""

    def decide(self, specs, sections):
        known = registry.get()
        return host_facts.decide(
            requirements.parse(specs, known.vocabulary),
            json.dumps({'v': 1, **sections}),
            age=0,
            freshness=facts.Freshness(),
            mechanisms=known,
        )

    def test_facts(self):
        for text in HOSTILE:
            for key, value, sections in (
                ('hypervisor', 'kvm', {'hypervisor': {'type': text}}),
                ('hypervisor', 'kvm', {'hypervisor': {text: 'x'}}),
                ('hypervisor', 'kvm', {'hypervisor': text}),
                ('hypervisor', 'kvm', {'hypervisor': {'violated': text}}),
                ('hypervisor', 'kvm', {'v': text}),
                ('certification', 'LSPP', {'certification': {text: []}}),
                ('svirt', 'any', {'svirt': {'models': [text]}}),
                ('qemu_hardening', 'nx', {'qemu': {'hardening': text}}),
            ):
                specs = {f'isolation:{key}': value}
                answer = self.decide(specs, sections)
                self.assertFalse(answer.accepted)
                self.assertShown(str(answer))
                for item in answer.unmet:
                    self.assertShown(item.found)
                # Nova cuts a fault off by its bytes.
                known = registry.get().reasons
                self.assertShown(fault_message.fit(answer.unmet, '', known))

    def test_documents(self):
        for text in HOSTILE:
            error = self.assertRaises(facts.FactsError, facts.loads, text)
            self.assertShown(error.found)
            self.assertShown(str(error))

    def test_modes(self):
        known = registry.get()
        wanted = requirements.parse(
            {'isolation:hypervisor': 'kvm'}, known.vocabulary
        )
        decider = published.PublishedDecision(
            wanted, facts.Freshness(), known, enforces=True
        )
        for text in HOSTILE:
            stats = {facts.MODE_STAT: text, facts.STAT: text}
            self.assertShown(str(decider.decide(stats, 0.0)))

    def test_flavors(self):
        for text in HOSTILE:
            wanted = requirements.parse(
                {f'isolation:{text}': text, 'isolation:svirt': text},
                registry.get().vocabulary,
            )
            for item in wanted.problems:
                self.assertShown(str(item))

    def test_proofs_and_errors(self):
        for text in HOSTILE:
            self.assertShown(mechanisms_base.Proof('isolation:x', text).found)
            self.assertShown(reasons.Unmet('a', 'b', text, text).wanted)
            for kind in (errors.IsolationError, https_error.HttpsError):
                self.assertShown(str(kind(text)))
