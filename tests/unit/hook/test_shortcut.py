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

"""The shortcut compared with the full check."""

import importlib
import importlib.util
import itertools
from unittest import mock
from xml.etree import ElementTree

import hypothesis
from hypothesis import strategies as st

from nova_isolation.hook import domain_tree
from nova_isolation.hook import objections
from nova_isolation.hook import shortcut
from nova_isolation.mechanisms import base as mechanisms_base
from nova_isolation.mechanisms import built_in
from nova_isolation.mechanisms import registry
from nova_isolation.model import vocabulary
from tests.unit import base
from tests.unit import fakes
from tests.unit.hook import test_check
from tests.unit.mechanisms.svirt import test_seclabel_xml


def full(xml):
    """Whether the full check lets the guest start."""
    try:
        return not objections.of(xml)
    except ValueError:
        return False


def short(xml):
    """Whether the shortcut lets the guest start."""
    try:
        return shortcut.fits(xml)
    except Exception:
        return False


def _rows():
    known = registry.get().vocabulary
    return {
        key: row
        for key, row in known.rows.items()
        if known.owner(key) in registry.BUILT_IN
    }


#: Pairs of an extra spec and a value, most of them good.
PAIRS = st.one_of(
    st.sampled_from(
        [
            (key, text)
            for key, row in _rows().items()
            for text in {
                row.example,
                *row.values,
                ','.join(row.values[:2]),
                row.example.upper(),
                f'{row.example},',
                '',
            }
        ]
    ),
    st.sampled_from(sorted(_rows())).flatmap(
        lambda key: st.tuples(
            st.just(key),
            st.from_regex(_rows()[key].expression, fullmatch=True),
        )
    ),
    st.sampled_from(
        [
            ('isolation:svirt_type', 'own_t'),
            ('isolation:x', 'y'),
            ('isolation:xsm', 'y'),
            ('isolation:base', 'y'),
            ('isolation:svirt_type_', 'own_t'),
            ('isolation:svirt.extra_specs', 'y'),
            ('isolation:_svirt', 'any'),
            ('isolation:', 'any'),
            ('isolation.svirt', 'any'),
            ('isolation_svirt', 'any'),
            (' isolation:svirt', 'any'),
            ('Isolation:svirt', 'any'),
            ('isolation:svirt\u200b', 'any'),
            ('isolation', 'x'),
            ('hw:cpu_policy', 'shared'),
            ('isolation_foo:bar', 'x'),
        ]
    ),
)
SVIRT = st.sampled_from(
    [
        {},
        test_seclabel_xml.SELINUX,
        test_seclabel_xml.TYPE,
        test_seclabel_xml.APPARMOR,
        test_seclabel_xml.ANY,
    ]
)
LABELS = st.builds(
    test_seclabel_xml.seclabel,
    model=st.sampled_from(['selinux', 'selinux', 'apparmor', 'dac', None]),
    type=st.sampled_from(['dynamic', 'dynamic', None, 'static', 'none']),
    relabel=st.sampled_from(['yes', 'yes', None, 'no']),
    label=st.sampled_from(
        [
            None,
            '',
            test_seclabel_xml.own(),
            test_seclabel_xml.own(level='s0'),
            test_seclabel_xml.own(level='s0-s0:c0.c1023'),
            test_seclabel_xml.own('svirt_t'),
            f'libvirt-{fakes.UUID}',
            'libvirt-other',
        ]
    ),
    base=st.sampled_from([None, None, '', test_seclabel_xml.BASE, 'a:b:c:s0']),
)


class AgreementTest(base.TestCase):
    """What the shortcut lets start, the full check lets start."""

    @hypothesis.settings(max_examples=600)
    @hypothesis.given(
        SVIRT, st.lists(PAIRS, max_size=4), st.lists(LABELS, max_size=2)
    )
    def test_generated_domains(self, svirt, pairs, labels):
        specs = {**dict(pairs), **svirt}
        xml = test_check.domain(specs, ''.join(labels))
        if any('\x00' in text or '\n' in text for text in specs.values()):
            return
        allowed = full(xml)
        # A key that may be a near miss is left to the full check.
        if any(map(vocabulary.without_colon, specs)):
            self.assertFalse(short(xml) and not allowed, xml)
        else:
            self.assertEqual(allowed, short(xml), xml)

    def test_however_a_guest_of_xen_ends(self):
        ways = (
            None,
            'destroy',
            'preserve',
            'restart',
            'rename-restart',
            'coredump-destroy',
            'coredump-restart',
            ' restart ',
        )
        verdicts = set()
        for reboot, poweroff, crash in itertools.product(ways, repeat=3):
            xml = test_check.xen(
                test_check.SANDBOX,
                reboot,
                on_poweroff=poweroff,
                on_crash=crash,
            )
            self.assertEqual(full(xml), short(xml), xml)
            verdicts.add(short(xml))
        self.assertEqual({True, False}, verdicts)

    def test_both_verdicts_of_each(self):
        for xml in test_check.GOOD.values():
            self.assertTrue(shortcut.fits(xml))
        for xml, _ in test_check.BAD.values():
            self.assertFalse(short(xml), xml)
        for xml in (
            test_check.domain(specs, ''.join(labels))
            for specs, labels in test_seclabel_xml.GOOD
        ):
            self.assertEqual(full(xml), short(xml), xml)

    def test_a_document_type_is_left_to_the_full_check(self):
        self.assertFalse(shortcut.fits('<!DOCTYPE domain []><domain/>'))


class DefinitionTest(base.TestCase):
    """Each mechanism of this tree says what its guests' XML must have."""

    def test_the_mechanism_and_its_definition_agree(self):
        for name, mechanism in registry.get().loaded.items():
            if name not in registry.BUILT_IN:
                continue
            specs = importlib.import_module(
                built_in.module(name, 'extra_specs')
            )
            judges = type(mechanism).judge_definition
            plain = mechanisms_base.Mechanism.judge_definition
            takes_any = getattr(specs, 'ANY_XML', False)
            self.assertEqual(judges is plain, takes_any, name)
            part = built_in.module(name, 'definition')
            if takes_any:
                self.assertIsNone(importlib.util.find_spec(part), name)
                continue
            definition = importlib.import_module(part)
            self.assertFalse(
                definition.fits(
                    ElementTree.fromstring('<domain/>'),
                    {row.key: (row.example,) for row in mechanism.extra_specs},
                ),
                name,
            )

    def test_one_that_says_nothing_is_left_to_the_full_check(self):
        # It has no definition, and the shortcut does not take that for a yes.
        xml = test_check.domain({'isolation:hypervisor': 'kvm'}, '')
        self.assertTrue(shortcut.fits(xml))
        specs = importlib.import_module(
            built_in.module('hypervisor', 'extra_specs')
        )
        for said in ('yes', False, None):
            with mock.patch.object(specs, 'ANY_XML', said):
                self.assertRaises(ModuleNotFoundError, shortcut.fits, xml)
        with mock.patch.object(specs, 'ANY_XML'):
            del specs.ANY_XML
            self.assertRaises(ModuleNotFoundError, shortcut.fits, xml)
            self.assertTrue(full(xml))


class TreeTest(base.TestCase):
    """The same tree as that of xml.etree."""

    def same(self, mine, others):
        self.assertEqual(others.tag, mine.tag)
        self.assertEqual(others.text, mine.text)
        for name in (*others.keys(), 'no'):
            self.assertEqual(others.get(name), mine.get(name))
            self.assertEqual(others.get(name, 'x'), mine.get(name, 'x'))
        mine_inside, others_inside = list(mine), list(others)
        self.assertEqual(len(others_inside), len(mine_inside))
        for one, other in zip(mine_inside, others_inside, strict=True):
            self.assertEqual(
                others.findtext(other.tag), mine.findtext(one.tag)
            )
            self.same(one, other)
        self.assertIsNone(mine.findtext('no'))

    def test_as_etree(self):
        for xml in (
            *test_check.GOOD.values(),
            '<a>1<b/>2<!-- c -->3</a>',
            '<a>1<!-- c -->2<?p q?>3<![CDATA[<4>]]>&amp;&#53;</a>',
            '<x:a xmlns:x="u" xmlns="v" x:k="1" k="2"><b/><x:b/></x:a>',
            '<?xml version="1.0" encoding="UTF-8"?><a>\u00e9</a>',
        ):
            self.same(domain_tree.parse(xml), ElementTree.fromstring(xml))

    def test_no_xml(self):
        for xml in ('', 'x', '<a>', '<a/><b/>', '<a>&b;</a>', '<x:a/>'):
            self.assertRaises(
                ElementTree.ParseError, ElementTree.fromstring, xml
            )
            self.assertRaises(
                domain_tree.expat.ExpatError, domain_tree.parse, xml
            )
