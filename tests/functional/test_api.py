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

"""What the API takes, and what becomes of what it lets through."""

from unittest import mock

from nova.tests.functional.api import client

from tests.functional import base
from tests.functional import fixtures


class ExtraSpecsTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.start(fixtures.Machine())

    def _set(self, **extra_specs):
        flavor = self._create_flavor()
        specs = {f'isolation:{k}': v for k, v in extra_specs.items()}
        self.api.post_extra_spec(flavor, {'extra_specs': specs})
        return flavor

    def _bad_request(self, **extra_specs):
        error = self.assertRaises(
            client.OpenStackApiException, self._set, **extra_specs
        )
        self.assertEqual(400, error.response.status_code)
        return error.response.text

    def test_validated(self):
        valid = {
            'hypervisor': 'kvm,qemu',
            'certification': 'LSPP',
            'svirt': 'selinux',
            'svirt_type': 'svirt_t',
            'qemu_hardening': 'pie,nx,relro,bindnow,canary,fortify,cet',
            'qemu_sandbox': 'true',
            'qemu_absent': 'floppy,cirrus,usb-redir',
            'attested': 'true',
            'attested_pcrs': '17,18',
            'attested_max_age': '60',
            'attested_boot': 'true',
            'attested_runtime': 'true',
            'xsm_label': 'isolated_domU_t',
            'xsm_isolated': 'true',
            'xsm_device_model': 'none',
            'xsm_backend': 'dom0',
            'xsm_dom0': 'selinux',
        }
        flavor = self._set(**valid)
        self.assertEqual(
            {f'isolation:{k}': v for k, v in valid.items()},
            self.api.get_extra_specs(flavor),
        )
        for key, value in (
            ('hypervisor', 'hyperv'),
            ('certification', 'lspp'),
            ('certification', ''),
            ('svirt', 'selinux,apparmor'),
            ('svirt_type', 'svirt t'),
            ('qemu_hardening', 'pie,'),
            ('qemu_hardening', 'pie, nx'),
            ('qemu_sandbox', '1'),
            ('qemu_absent', 'kvm'),
            ('attested', 'false'),
            ('attested_pcrs', '24'),
            ('attested_max_age', '0'),
            ('attested_boot', '1'),
            ('attested_runtime', 'yes'),
            ('xsm_label', 'system_r:domU_t'),
            ('xsm_isolated', 'false'),
            ('xsm_backend', 'dom0,drvdom_t'),
            ('xsm_dom0', 'apparmor'),
        ):
            text = self._bad_request(**{key: value})
            self.assertIn('is not of the format', text)
        for key in ('svrit', 'attested_by', 'memory', 'xsm_labels', ''):
            self._bad_request(**{key: 'true'})

    def test_other_spellings(self):
        flavor = self._create_flavor()
        for key in (
            'isolation :svirt', ' isolation:svirt', 'Isolation:svirt',
            'isolation:svirt ', 'isolation.svirt', 'isolation_svirt',
            'isolation-svirt', 'isolation svirt',
        ):  # fmt: skip
            error = self.assertRaises(
                client.OpenStackApiException,
                self.api.post_extra_spec,
                flavor,
                {'extra_specs': {key: 'selinux'}},
            )
            self.assertEqual(400, error.response.status_code, key)
        others = {'isolation_foo:bar': 'x', 'isolation_zone': 'a'}
        self.api.post_extra_spec(flavor, {'extra_specs': others})
        self.assertEqual(others, self.api.get_extra_specs(flavor))

    def _old_flavor(self, **extra_specs):
        """A flavor as the API before 2.86 makes it, with any keys."""
        with mock.patch.object(
            self.api_fixture.admin_api, 'microversion', '2.85'
        ):
            return self._create_flavor(
                memory_mb=64,
                vcpu=1,
                disk=1,
                ephemeral=0,
                extra_spec=extra_specs,
            )

    def test_blank_before_the_colon(self):
        flavor = self._old_flavor(**{'isolation :svirt': 'selinux'})
        server = self.boot(flavor, 'ERROR')
        self.assertIn('[isolation.spec.unknown]', server['fault']['message'])

    def test_without_the_namespace(self):
        self.boot(self._old_flavor(isolation_zone='a'))
        self.assertEqual([], self.logged('no extra spec of nova-isolation'))
        self.boot(self._old_flavor(isolation_svirt='selinux'))
        (line,) = self.logged('no extra spec of nova-isolation')
        self.assertIn('isolation:svirt is meant', line)

    def test_what_older_microversions_let_through(self):
        for extra_specs, code in (
            ({'svrit': 'selinux'}, 'isolation.spec.unknown'),
            ({'everything': 'true'}, 'isolation.spec.unknown'),
            ({'svirt': ''}, 'isolation.spec.invalid_value'),
            ({'qemu_absent': 'everything'}, 'isolation.spec.invalid_value'),
            ({'memory': 'true'}, 'isolation.spec.reserved'),
            ({'svirt_type': 'svirt_t'}, 'isolation.spec.conflict'),
            (
                {'hypervisor': 'xen', 'svirt': 'any'},
                'isolation.spec.conflict',
            ),
        ):
            server = self.boot(self.flavor(**extra_specs), 'ERROR')
            message = server['fault']['message']
            self.assertIn(
                'No valid host was found. Scheduling failed: isolation:',
                message,
            )
            self.assertIn(f'[{code}]', message)
        self.assertEqual([], self.connection('host1').defined)

    def test_what_older_microversions_let_through_to_a_forced_host(self):
        # As above, and the prefilter does not run: the compute host parses.
        self.useFixture(base.no_prefilter())
        self.refused(
            self.flavor(svrit='selinux'),
            'isolation.spec.unknown',
            az='nova:host1',
        )
        self.assertEqual([], self.connection('host1').defined)
