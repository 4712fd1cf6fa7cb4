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

"""The extra specs that Nova's API takes and refuses."""

from tempest.lib import exceptions
from tempest.lib.common.utils import data_utils

from nova_isolation_tempest_plugin.tests import base

_REFUSED_VALUES = {
    'isolation:svirt': ('SELinux', 'selinux,apparmor', 'none', ''),
    'isolation:svirt_type': ('svirt t', '0_t'),
    'isolation:hypervisor': ('vmware', 'kvm;qemu', 'kvm,'),
    'isolation:qemu_hardening': ('pie,magic', ',pie', 'pie nx'),
    'isolation:qemu_sandbox': ('false', 'yes', '1'),
    'isolation:qemu_absent': ('no-such-device', 'floppy,,cirrus'),
    'isolation:attested': ('false', '0'),
    'isolation:attested_pcrs': ('24', '-1', '17-18'),
    'isolation:attested_max_age': ('0', '1.5', '-60'),
    'isolation:certification': ('lspp', 'LSPP;CAPP'),
}
_REFUSED_KEYS = (
    'isolation:svrit',
    'isolation:SVIRT',
    'Isolation:svirt',
    'isolation.svirt',
    'isolation_svirt',
    # Reserved for a later release.
    'isolation:xsm',
)
_TAKEN = {
    'isolation:svirt': 'selinux',
    'isolation:svirt_type': 'svirt_t',
    'isolation:hypervisor': 'kvm,qemu',
    'isolation:qemu_hardening': 'pie,nx,relro,bindnow',
    'isolation:qemu_sandbox': 'true',
    'isolation:qemu_absent': 'floppy,cirrus',
    'isolation:attested': 'true',
    'isolation:attested_pcrs': '17,18',
    'isolation:attested_max_age': '60',
    'isolation:certification': 'LSPP',
}


class ExtraSpecsTest(base.TestCase):
    """Extra specs with the microversion since which Nova validates them."""

    def specs(self, flavor: str) -> dict[str, str]:
        """Return the extra specs that a flavor has."""
        return dict(
            self.flavors.list_flavor_extra_specs(flavor)['extra_specs']
        )

    def assertRefused(self, key: str, value: str) -> None:
        """Nova refuses an extra spec, also beside one that is right."""
        flavor = self.flavor({'isolation:svirt': 'any'})
        for specs in ({key: value}, {key: value, 'hw:cpu_policy': 'shared'}):
            try:
                self.flavors.set_flavor_extra_spec(flavor, **specs)
            except exceptions.BadRequest:
                continue
            self.fail(f'Nova took {specs}')
        self.assertRaises(
            exceptions.BadRequest,
            self.flavors.update_flavor_extra_spec,
            flavor,
            key,
            **{key: value},
        )
        self.assertEqual({'isolation:svirt': 'any'}, self.specs(flavor))

    def test_values_that_are_not_allowed(self) -> None:
        """Each mechanism refuses what is no value of its extra specs."""
        for key, values in _REFUSED_VALUES.items():
            for value in values:
                self.assertRefused(key, value)

    def test_keys_that_do_not_exist(self) -> None:
        """A typing error in a key is refused, and so is a reserved key."""
        for key in _REFUSED_KEYS:
            self.assertRefused(key, 'selinux')

    def test_values_that_are_allowed(self) -> None:
        """Nova stores what is valid, all at once and one by one."""
        flavor = self.flavor(_TAKEN)
        self.assertEqual(_TAKEN, self.specs(flavor))
        for key, value in _TAKEN.items():
            self.flavors.update_flavor_extra_spec(flavor, key, **{key: value})
        self.assertEqual(_TAKEN, self.specs(flavor))

    def test_other_namespaces(self) -> None:
        """A key that only looks alike belongs to somebody else."""
        key = f'isolation_of_{data_utils.rand_int_id()}:level'
        flavor = self.flavor({key: 'high'})
        self.assertEqual({key: 'high'}, self.specs(flavor))


class OlderMicroversionTest(base.TestCase):
    """Extra specs with a microversion at which Nova does not validate."""

    microversion = '2.85'

    def test_stored_and_refused_later(self) -> None:
        """A typing error that Nova stored does not make a guest unguarded."""
        for key, value in (
            ('isolation:svrit', 'selinux'),
            ('isolation:qemu_sandbox', 'false'),
        ):
            server = self.boot(self.flavor({key: value}))
            self.assertOfNoHost(server)
            self.assertIn(key, server['fault']['message'])
            self.assertIn('[isolation.', server['fault']['message'])
