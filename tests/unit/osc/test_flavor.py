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

"""Setting and removing the extra specs of a flavor."""

import ddt

from tests.unit.osc import base

_SET = ('flavor', 'isolation', 'set', 'm1')
_UNSET = ('flavor', 'isolation', 'unset', 'm1')
_POST = ('POST', '/flavors/1/os-extra_specs', '2.86')


@ddt.ddt
class SetTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.specs = self.flavor(svirt='any')
        self.specs['hw:cpu_policy'] = 'dedicated'

    def test_a_property(self):
        out = self.run_ok(*_SET, '--property', 'isolation:qemu_sandbox=true')
        self.assertEqual('', out)
        self.assertEqual(
            {
                'isolation:svirt': 'any',
                'isolation:qemu_sandbox': 'true',
                'hw:cpu_policy': 'dedicated',
            },
            self.specs,
        )
        # openstacksdk would write with 2.61, which validates nothing.
        self.assertEqual([_POST], self.cloud.writes())

    def test_a_profile_in_one_request(self):
        self.specs.clear()
        self.run_ok(*_SET, '--profile', 'bob-public-cloud')
        self.assertEqual(
            {
                'isolation:hypervisor': 'kvm',
                'isolation:qemu_hardening': (
                    'pie,nx,relro,bindnow,canary,fortify'
                ),
                'isolation:svirt': 'apparmor',
            },
            self.specs,
        )
        self.assertEqual([_POST], self.cloud.writes())

    def test_profiles_and_a_property_together(self):
        self.run_ok(
            *_SET, '--profile', 'confined', '--profile', 'attested',
            '--property', 'isolation:attested_max_age=60',
        )  # fmt: skip
        self.assertEqual(
            [
                'hw:cpu_policy', 'isolation:attested',
                'isolation:attested_max_age', 'isolation:qemu_sandbox',
                'isolation:svirt',
            ],
            sorted(self.specs),
        )  # fmt: skip

    def test_in_place_of_what_was_there(self):
        self.specs.update(
            {'isolation:certification': 'LSPP', 'isolation_svirt': 'any'}
        )
        self.run_ok(*_SET, '--profile', 'attested', '--no-property')
        self.assertEqual(
            {'isolation:attested': 'true', 'hw:cpu_policy': 'dedicated'},
            self.specs,
        )
        # The new ones are there before the old ones go.
        self.assertEqual(_POST, self.cloud.writes()[0])

    @ddt.named_data(
        ('key', 'isolation:svrit=selinux', 'isolation.spec.unknown'),
        ('value', 'isolation:svirt=selinx', 'isolation.spec.invalid_value'),
        ('reserved', 'isolation:memory=true', 'isolation.spec.reserved'),
        ('conflict', 'isolation:attested_pcrs=17', 'isolation.spec.conflict'),
        (
            'conflict_with_what_is_there',
            'isolation:svirt_type=svirt_t',
            'isolation:svirt=selinux beside.*isolation.spec.conflict',
        ),
        ('namespace', 'isolatiom:svirt=any', 'no extra spec of isolation'),
        ('no_namespace', 'isolation_svirt=any', 'no extra spec of isolation'),
        ('another', 'hw:cpu_policy=shared', 'openstack flavor set'),
    )
    @ddt.unpack
    def test_refused_before_anything_is_written(self, given, why):
        before = dict(self.specs)
        self.assertRegex(self.fails(*_SET, '--property', given), why)
        self.assertEqual(before, self.specs)
        self.assertEqual([], self.cloud.writes())

    def test_sources_that_differ(self):
        text = self.fails(
            *_SET, '--profile', 'confined', '--property',
            'isolation:svirt=selinux',
        )  # fmt: skip
        self.assertIn('the profile confined has isolation:svirt=any', text)
        self.assertEqual([], self.cloud.writes())

    def test_faults_that_were_there_can_be_left(self):
        self.specs['isolation:old'] = 'x'
        self.run_ok(*_SET, '--property', 'isolation:qemu_sandbox=true')

    def test_nothing_given(self):
        self.assertIn('Nothing to set', self.fails(*_SET))

    def test_unknown_names(self):
        text = self.fails(*_SET, '--profile', 'hardend')
        self.assertIn("no profile 'hardend'. There are: alice-", text)
        text = self.fails(
            'flavor', 'isolation', 'set', 'm2', '--profile', 'hardened'
        )
        self.assertIn('no flavor with the ID or name', text)
        self.assertEqual([], self.cloud.writes())

    def test_nova_refuses(self):
        self.cloud.broken['POST', 'os-extra_specs'] = 403
        text = self.fails(*_SET, '--profile', 'confined')
        self.assertRegex(
            text,
            'Nova refuses to change extra specs: HTTP 403. By default this is '
            'for the role admin,.*Nothing was written',
        )

    def test_the_answer_is_lost_before_nova_wrote(self):
        self.cloud.broken['POST', 'os-extra_specs'] = 502
        text = self.fails(*_SET, '--profile', 'confined')
        self.assertRegex(text, '502.*Nothing was written to the flavor m1')

    def test_the_answer_is_lost_after_nova_wrote(self):
        self.cloud.broken['POST', 'os-extra_specs'] = -502
        text = self.fails(*_SET, '--profile', 'confined')
        self.assertRegex(
            text,
            '502.*The flavor m1 has now: isolation:qemu_sandbox=true '
            'isolation:svirt=any',
        )

    def test_nova_goes_away(self):
        # From the write on, nothing can be read either.
        self.cloud.broken['POST', 'os-extra_specs'] = 502
        self.cloud.away_after = ('POST', 'os-extra_specs')
        text = self.fails(*_SET, '--profile', 'confined')
        self.assertRegex(
            text,
            'Whether it was written is not known.*Before, it had: '
            'isolation:svirt=any',
        )

    def test_old_ones_cannot_be_removed(self):
        self.specs['isolation:certification'] = 'LSPP'
        self.cloud.broken['DELETE', 'certification'] = 500
        text = self.fails(*_SET, '--profile', 'attested', '--no-property')
        self.assertRegex(
            text,
            'isolation:certification was not removed.*Removed before: '
            'isolation:svirt=any.*has now: isolation:attested=true '
            'isolation:certification=LSPP. Repeat',
        )


class UnsetTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.specs = self.flavor(
            svirt='selinux', svirt_type='svirt_t', qemu_sandbox='true'
        )
        self.specs.update({'isolation_svirt': 'x', 'hw:cpu_policy': 'shared'})

    def test_some(self):
        self.run_ok(
            *_UNSET, '--property', 'isolation:svirt_type', '--property',
            'isolation_svirt',
        )  # fmt: skip
        self.assertEqual(
            {
                'isolation:svirt': 'selinux',
                'isolation:qemu_sandbox': 'true',
                'hw:cpu_policy': 'shared',
            },
            self.specs,
        )

    def test_all(self):
        self.run_ok(*_UNSET, '--all')
        self.assertEqual({'hw:cpu_policy': 'shared'}, self.specs)

    def test_a_companion_that_would_be_left(self):
        text = self.fails(*_UNSET, '--property', 'isolation:svirt')
        self.assertIn('isolation.spec.conflict', text)
        self.assertEqual([], self.cloud.writes())

    def test_one_that_is_not_there(self):
        text = self.fails(
            *_UNSET, '--property', 'isolation:svirt_type', '--property',
            'hw:cpu_policy',
        )  # fmt: skip
        self.assertIn('no extra spec of isolation hw:cpu_policy', text)
        self.assertEqual([], self.cloud.writes())

    def test_half_way(self):
        self.cloud.broken['DELETE', 'isolation:svirt$'] = 503
        text = self.fails(*_UNSET, '--all')
        self.assertRegex(
            text,
            'isolation:svirt was not removed.*Removed before: '
            'isolation:svirt_type=svirt_t isolation_svirt=x. The flavor m1 '
            'has now: isolation:qemu_sandbox=true isolation:svirt=selinux.',
        )
        self.assertEqual('selinux', self.specs['isolation:svirt'])

    def test_what_to_remove_must_be_said(self):
        self.assertIn('--all', self.fails(*_UNSET))
