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

from lxml import etree

from nova_isolation.decision import decision
from nova_isolation.decision import domain_definition
from nova_isolation.mechanisms import registry
from nova_isolation.mechanisms.svirt import reason_codes as svirt_reasons
from nova_isolation.model import reasons
from nova_isolation.model import requirements
from tests.unit import base
from tests.unit.mechanisms import contract
from tests.unit.mechanisms import examples

SVIRT = {'isolation:svirt': 'selinux'}
FLASK = {'isolation:flask_label': 'domu_t'}
CONFINED = contract.DOMAIN.replace(
    '</domain>',
    '<seclabel type="dynamic" model="selinux" relabel="yes"/></domain>',
)


class DefinitionTest(base.TestCase):
    """The judgement of a domain's XML."""

    def judge(self, specs, xml=contract.DOMAIN, mechanisms=None):
        mechanisms = mechanisms or registry.get()
        return domain_definition.decide(
            requirements.parse(specs, mechanisms.vocabulary),
            etree.fromstring(xml),
            mechanisms,
        )

    def refused(self, codes, *args):
        answer = self.judge(*args)
        self.assertCodes(codes, answer.unmet)
        return answer.unmet

    def test_untagged(self):
        for specs in ({}, {'hw:cpu_policy': 'x'}, {'isolatiom:svirt': 'any'}):
            for xml in (contract.DOMAIN, '<domain/>', '<x/>'):
                self.assertEqual(decision.ACCEPTED, self.judge(specs, xml))

    def test_fits(self):
        self.assertEqual((), self.judge(SVIRT, CONFINED).unmet)

    def test_does_not_fit(self):
        for xml in (contract.DOMAIN, '<domain/>', '<x/>'):
            self.refused(['svirt.wrong_definition'], SVIRT, xml)

    def test_what_cannot_be_seen_in_xml_is_not_asked_of_it(self):
        specs = {
            'isolation:hypervisor': 'xen',
            'isolation:certification': 'LSPP',
        }
        self.assertTrue(self.judge(specs).accepted)

    def test_problems_of_the_extra_specs(self):
        for code, specs in (
            ('spec.unknown', {'isolation:svrit': 'selinux'}),
            ('spec.unknown', {' Isolation:svirt': 'selinux'}),
            ('spec.reserved', {'isolation:memory': 'true'}),
            ('spec.invalid_value', {'isolation:svirt': 'Selinux'}),
            ('spec.conflict', {'isolation:svirt_type': 'svirt_t'}),
        ):
            self.refused([code], specs, CONFINED)

    def test_problems_do_not_hide_the_rest(self):
        specs = {**SVIRT, 'isolation:svrit': 'selinux'}
        self.refused(['spec.unknown', 'svirt.wrong_definition'], specs)

    def test_mechanism_that_is_not_there(self):
        mechanisms = registry.build({}, {'svirt': 'ImportError: no'})
        self.refused(['mechanism.unavailable'], SVIRT, CONFINED, mechanisms)

    def broken(self, judge_definition):
        cls = type(
            'Broken',
            (examples.FlaskMechanism,),
            {'judge_definition': judge_definition},
        )
        return registry.build({**examples.built_in_classes(), 'flask': cls})

    def test_mechanism_that_fails(self):
        def early(*_):
            raise KeyError('early')

        def late(self, domain, wanted):
            yield wanted.items[0].unmet(reasons.SPEC_UNKNOWN, 'x')
            raise KeyError('late')

        def nonsense(self, domain, wanted):
            yield 'no'

        def nothing(self, domain, wanted):
            return None

        for method in (early, late, nonsense, nothing):
            (unmet,) = self.refused(
                ['mechanism.failed'],
                FLASK,
                contract.DOMAIN,
                self.broken(method),
            )
            self.assertEqual('isolation:flask_label', unmet.key)

    def test_one_that_fails_spoils_its_own_only(self):
        def fails(*_):
            raise KeyError('no')

        mechanisms = self.broken(fails)
        both = {**FLASK, 'isolation:hypervisor': 'xen'}
        self.refused(['mechanism.failed'], both, CONFINED, mechanisms)
        self.assertTrue(self.judge(SVIRT, CONFINED, mechanisms).accepted)

    def test_each_once(self):
        def twice(self, domain, wanted):
            for item in 2 * wanted.of('flask'):
                yield item.unmet(svirt_reasons.DEFINITION, 'x')

        answer = self.judge(FLASK, contract.DOMAIN, self.broken(twice))
        self.assertEqual(1, len(answer.unmet))
