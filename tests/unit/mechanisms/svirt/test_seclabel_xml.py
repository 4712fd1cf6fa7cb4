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

import itertools

import hypothesis
from hypothesis import strategies as st
from lxml import etree

from nova_isolation.decision import domain_definition
from nova_isolation.mechanisms import registry
from nova_isolation.model import requirements
from tests.unit import base
from tests.unit import fakes

WRONG = 'svirt.wrong_definition'
SELINUX = {'isolation:svirt': 'selinux'}
TYPE = {**SELINUX, 'isolation:svirt_type': 'own_t'}
APPARMOR = {'isolation:svirt': 'apparmor'}
ANY = {'isolation:svirt': 'any'}
BASE = 'system_u:system_r:own_t:s0'


def seclabel(
    model='selinux', type='dynamic', relabel='yes', label=None, base=None
):
    """A <seclabel> as libvirt writes it; None leaves a part out."""
    result = etree.Element('seclabel')
    for name, value in (
        ('type', type),
        ('model', model),
        ('relabel', relabel),
    ):
        if value is not None:
            result.set(name, value)
    for name, value in (('label', label), ('baselabel', base)):
        if value is not None:
            etree.SubElement(result, name).text = value
    return etree.tostring(result, encoding='unicode')


def own(type_='own_t', level='s0:c1,c2'):
    """A label that libvirt made."""
    return f'system_u:system_r:{type_}:{level}'


# libvirt adds it to every domain at its start.
DAC = seclabel('dac', label='+0:+0')
NONE = '<seclabel type="none" model="selinux"/>'

GOOD = (
    (SELINUX, [seclabel()]),
    (SELINUX, [seclabel(type=None, relabel=None)]),
    (SELINUX, [seclabel(label=own('svirt_t'))]),
    (SELINUX, [seclabel(label=own('svirt_tcg_t', 's0:c1.c3,c7')), DAC]),
    (SELINUX, [DAC, seclabel()]),
    (SELINUX, [seclabel(), seclabel('apparmor')]),
    (TYPE, [seclabel(base=BASE)]),
    (TYPE, [seclabel(base=BASE, label=own()), DAC]),
    (APPARMOR, [seclabel('apparmor')]),
    (APPARMOR, [seclabel('apparmor', label=f'libvirt-{fakes.UUID}'), DAC]),
    (ANY, [seclabel()]),
    (ANY, [seclabel('apparmor')]),
    (ANY, [seclabel('apparmor'), NONE]),
)

BAD = (
    (SELINUX, []),
    (SELINUX, [DAC]),
    (SELINUX, [NONE]),
    (SELINUX, ['<seclabel type="none"/>']),
    (SELINUX, ['<seclabel type="none" model="none"/>']),
    (SELINUX, [seclabel(model=None)]),
    (SELINUX, [seclabel('apparmor')]),
    (SELINUX, [seclabel('SELinux')]),
    (SELINUX, [seclabel(relabel='no')]),
    (SELINUX, [seclabel(relabel='')]),
    (SELINUX, [seclabel(type='')]),
    (SELINUX, [seclabel(type='default')]),
    # A static label can confine; whether it does, no XML tells.
    (SELINUX, [seclabel(type='static', label=own('svirt_t'))]),
    (SELINUX, [seclabel(type='static', relabel='no', label=own('svirt_t'))]),
    (SELINUX, [seclabel(), seclabel()]),
    (SELINUX, [seclabel(), NONE]),
    (SELINUX, ['<devices>' + seclabel() + '</devices>']),
    # Another type than libvirt's own was not asked for.
    (SELINUX, [seclabel(base=BASE)]),
    (SELINUX, [seclabel(base='')]),
    (SELINUX, [seclabel(label=own('svirt_t', 's0'))]),
    (SELINUX, [seclabel(label=own('virtd_t', 's0-s0:c0.c1023'))]),
    (SELINUX, [seclabel(label='')]),
    (SELINUX, [seclabel(label='unconfined')]),
    (SELINUX, [seclabel(label=f'libvirt-{fakes.UUID}')]),
    (TYPE, [seclabel()]),
    (TYPE, [seclabel(base='system_u:system_r:svirt_t:s0')]),
    (TYPE, [seclabel(base='unconfined_u:unconfined_r:own_t:s0')]),
    (TYPE, [seclabel(base='system_u:system_r:own_t:s0:c1,c2')]),
    (TYPE, [seclabel(base='own_t')]),
    (TYPE, [seclabel(base=f' {BASE}')]),
    (TYPE, [seclabel(label=own())]),
    (TYPE, [seclabel(base=BASE, label=own('svirt_t'))]),
    (TYPE, [seclabel(base=BASE, label=own(level='s0'))]),
    (TYPE, [seclabel(type='static', label=own())]),
    (APPARMOR, [seclabel()]),
    (APPARMOR, [seclabel('apparmor', base=BASE)]),
    (APPARMOR, [seclabel('apparmor', label='libvirt-other')]),
    (APPARMOR, [seclabel('apparmor', label='')]),
    (APPARMOR, [seclabel('apparmor', 'static', label='mine')]),
    (ANY, []),
    (ANY, [DAC]),
    (ANY, [NONE]),
    (ANY, [NONE, '<seclabel type="none" model="apparmor"/>']),
    (ANY, [seclabel('selinux,apparmor')]),
)


def judge(specs, labels):
    """What is unmet of a domain with these labels."""
    mechanisms = registry.get()
    return domain_definition.decide(
        requirements.parse(specs, mechanisms.vocabulary),
        etree.fromstring(
            f'<domain><uuid>{fakes.UUID}</uuid>{"".join(labels)}</domain>'
        ),
        mechanisms,
    ).unmet


class SvirtDefinitionTest(base.TestCase):
    """Which <seclabel> confines a guest as its flavor asks."""

    def test_good(self):
        for specs, labels in GOOD:
            self.assertEqual((), judge(specs, labels), labels)

    def test_bad(self):
        for specs, labels in BAD:
            unmet = judge(specs, labels)
            self.assertCodes([WRONG], unmet)
            self.assertEqual(1, len(unmet), unmet)
            self.assertIn(unmet[0].key, specs)

    def test_says_which_requirement(self):
        (unmet,) = judge(TYPE, [DAC])
        self.assertEqual('isolation:svirt', unmet.key)
        self.assertIn(DAC, unmet.found)
        (unmet,) = judge(TYPE, [seclabel()])
        self.assertEqual('isolation:svirt_type', unmet.key)
        self.assertIn(BASE, unmet.wanted)
        (unmet,) = judge(SELINUX, [seclabel(base=BASE)])
        self.assertIn('no baselabel', unmet.wanted)
        self.assertIn(BASE, unmet.found)
        (unmet,) = judge(ANY, [])
        self.assertIn('selinux or apparmor', unmet.wanted)
        self.assertEqual('no seclabel', unmet.found)

    @hypothesis.given(
        st.sampled_from((SELINUX, TYPE, APPARMOR, ANY)),
        st.lists(
            st.builds(
                seclabel,
                st.sampled_from((None, 'selinux', 'apparmor', 'dac', 'none')),
                st.sampled_from((None, 'dynamic', 'static', 'none')),
                st.sampled_from((None, 'yes', 'no')),
                st.sampled_from((None, '', own(), own(level='s0'))),
                st.sampled_from((None, '', BASE)),
            ),
            max_size=3,
        ),
        st.randoms(),
    )
    def test_whatever_is_there(self, specs, labels, random):
        unmet = judge(specs, labels)
        # The order of the elements means nothing.
        shuffled = sorted(labels, key=lambda _: random.random())
        self.assertEqual(bool(unmet), bool(judge(specs, shuffled)))
        # Nor do those of other models.
        self.assertEqual(bool(unmet), bool(judge(specs, [*labels, DAC])))
        # To take a label away never confines, but where there were two.
        if unmet and len(labels) < 2:
            self.assertTrue(judge(specs, []))
        # What is refused for any model is refused for each.
        if specs is ANY and unmet:
            for one in (SELINUX, APPARMOR):
                self.assertTrue(judge(one, labels))

    def test_one_change_is_enough(self):
        for change in (
            {'type': 'static'},
            {'type': 'none'},
            {'relabel': 'no'},
            {'model': 'apparmor'},
            {'model': None},
            {'label': own('svirt_t')},
            {'label': own(level='s0')},
            {'base': None},
            {'base': own()},
        ):
            fitting = {'label': own(), 'base': BASE}
            self.assertEqual((), judge(TYPE, [seclabel(**fitting)]))
            self.assertCodes(
                [WRONG], judge(TYPE, [seclabel(**{**fitting, **change})])
            )

    def test_two_tags_two_labels(self):
        for first, second in itertools.permutations(
            (seclabel(base=BASE), seclabel()), 2
        ):
            self.assertCodes([WRONG], judge(TYPE, [first, second]))
