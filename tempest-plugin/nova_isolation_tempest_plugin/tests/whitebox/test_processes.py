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

"""The processes of guests, as the kernel of their host sees them."""

from tempest import config

from nova_isolation_tempest_plugin import config as our_config
from nova_isolation_tempest_plugin.tests import base
from nova_isolation_tempest_plugin.tests.whitebox import host

CONF = config.CONF
_SECCOMP_FILTER = 2


class ProcessesTest(base.TestCase):
    """Two guests on one host, which have to be apart."""

    @classmethod
    def skip_checks(cls) -> None:
        """Skip where there is no host to log in to."""
        super().skip_checks()
        if not CONF.isolation_whitebox.hosts:
            raise cls.skipException('[isolation_whitebox] hosts is not set')

    @classmethod
    def resource_setup(cls) -> None:
        """Boot the guests and look at them."""
        super().resource_setup()
        specs = our_config.extra_specs(CONF.isolation_whitebox.extra_specs)
        flavor, cls.name = (
            cls.flavor(specs),
            min(CONF.isolation_whitebox.hosts),
        )
        cls.host = host.Host(cls.name)
        cls.model = specs['isolation:svirt']
        servers = [cls.create(flavor, host=cls.name) for _ in range(2)]
        cls.running = set(servers)
        cls.guests = []
        for server in servers:
            found = cls.reach(server, 'ACTIVE', 'ERROR')
            if found['status'] != 'ACTIVE':
                raise AssertionError(f'{server}: {found.get("fault")}')
            cls.guests.append(cls.host.guest(found))

    def test_they_run(self) -> None:
        """A guest that was started paused goes on once it is verified."""
        self.assertEqual(['running'] * 2, [g.state for g in self.guests])

    def test_the_label_is_that_of_libvirt(self) -> None:
        """The process has the label that libvirt's XML says."""
        for guest in self.guests:
            self.assertNotEqual('', guest.wanted)
            # AppArmor adds the mode in which it confines the process.
            self.assertEqual(guest.wanted, guest.label.split(' ')[0])
            if self.model == 'apparmor':
                self.assertTrue(guest.label.endswith(' (enforce)'))

    def test_the_kernel_enforces(self) -> None:
        """The label has an effect."""
        if self.model != 'selinux':
            raise self.skipException('the guests do not ask for SELinux')
        self.assertTrue(self.host.enforces())

    def test_the_guests_are_apart(self) -> None:
        """No two guests share their categories, or their profile."""
        one, other = self.guests
        self.assertNotEqual(one.label, other.label)
        if self.model == 'selinux':
            for guest in self.guests:
                # libvirt gives two; a guest with fewer could be a subset.
                self.assertEqual(2, len(guest.categories), guest)
                level = guest.label.split(':', 3)[3]
                self.assertEqual(level, guest.image.split(':', 3)[3])
            self.assertNotEqual(one.categories, other.categories)

    def test_the_seccomp_filter_is_on(self) -> None:
        """The kernel filters the system calls of the process."""
        self.assertEqual(
            [_SECCOMP_FILTER] * 2, [g.seccomp for g in self.guests]
        )

    def test_a_refused_guest_leaves_no_domain(self) -> None:
        """libvirt knows the guests that run, and not the one refused."""
        flavor = self.flavor(
            our_config.extra_specs(CONF.isolation.forced_extra_specs)
        )
        zone = self.computes()[self.name]
        server = self.boot(flavor, availability_zone=f'{zone}:{self.name}')
        self.assertEqual('ERROR', server['status'])
        self.assertIn(('isolation_decide', 'Error'), self.ours(server['id']))
        domains = self.host.domains()
        self.assertLessEqual(self.running, domains)
        self.assertNotIn(server['id'], domains)
