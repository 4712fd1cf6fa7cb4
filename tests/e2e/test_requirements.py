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

"""Each requirement on real guests: met on one host, refused elsewhere."""

import fnmatch
from pathlib import Path
from typing import ClassVar
import unittest

from lab.hosts import executable_stack
from nova_isolation.mechanisms.qemu import catalogue
from nova_isolation.mechanisms.qemu import groups
from tests.e2e import base
from tests.e2e import emulator


class HardeningTest(base.TestCase):
    """isolation:qemu_hardening."""

    SPECS: ClassVar = {'isolation:qemu_hardening': 'pie,nx,relro'}

    def test_lands_on_the_host_whose_emulator_has_it(self) -> None:
        server = self.boot(self.SPECS)
        self.assertActive(server, base.HARDENED)
        process = self.guests.process(server)
        self.assertFalse(executable_stack.is_set(process.executable))
        self.assertEvent(server, 'isolation_verify', 'Success')

    def test_refused_on_the_other_host(self) -> None:
        flavor = self.flavor(self.SPECS)
        server = self.boot_flavor(flavor, host=base.PLAIN)
        self.assertNoValidHost(server)
        self.assertExplained(flavor, base.PLAIN, 'isolation.qemu.not_hardened')


class SandboxTest(base.TestCase):
    """isolation:qemu_sandbox."""

    SPECS: ClassVar = {'isolation:qemu_sandbox': 'true'}

    def test_lands_on_the_host_that_has_it(self) -> None:
        server = self.boot(self.SPECS)
        self.assertActive(server, base.HARDENED)
        self.assertEqual(2, self.guests.process(server).seccomp)

    def test_refused_on_the_other_host(self) -> None:
        flavor = self.flavor(self.SPECS)
        self.assertNoValidHost(self.boot_flavor(flavor, host=base.PLAIN))
        self.assertExplained(flavor, base.PLAIN, 'isolation.qemu.no_sandbox')


class HypervisorTest(base.TestCase):
    """isolation:hypervisor. The hosts of the lab emulate, with qemu."""

    def test_the_hosts_own(self) -> None:
        self.assertActive(self.boot({'isolation:hypervisor': 'qemu'}))

    def test_one_of_several(self) -> None:
        self.assertActive(self.boot({'isolation:hypervisor': 'kvm,qemu'}))

    def test_another_one(self) -> None:
        for wanted in ('kvm', 'xen'):
            with self.subTest(wanted):
                flavor = self.flavor({'isolation:hypervisor': wanted})
                self.assertNoValidHost(self.boot_flavor(flavor))
                self.assertExplained(flavor, 'isolation.hypervisor.other')


class CertificationTest(base.TestCase):
    """isolation:certification. cpu-hardened declares CAPP and LSPP."""

    def test_declared(self) -> None:
        server = self.boot({'isolation:certification': 'CAPP'})
        self.assertActive(server, base.HARDENED)

    def test_undeclared(self) -> None:
        flavor = self.flavor({'isolation:certification': 'EAL4'})
        self.assertNoValidHost(self.boot_flavor(flavor))
        self.assertExplained(flavor, 'isolation.certification.undeclared')

    @unittest.skipIf(Path('/sys/fs/selinux').exists(), 'has SELinux')
    def test_declared_but_not_so(self) -> None:
        flavor = self.flavor({'isolation:certification': 'LSPP'})
        self.assertNoValidHost(self.boot_flavor(flavor))
        self.assertExplained(
            flavor, 'isolation.certification.precondition', 'selinux_enforcing'
        )


class SvirtTest(base.TestCase):
    """isolation:svirt, on a kernel without a security module."""

    @unittest.skipIf(Path('/sys/fs/selinux').exists(), 'has SELinux')
    def test_refused_without_selinux(self) -> None:
        flavor = self.flavor({'isolation:svirt': 'selinux'})
        self.assertNoValidHost(self.boot_flavor(flavor))
        self.assertExplained(
            flavor, base.HARDENED, base.PLAIN, 'isolation.svirt.no_model'
        )

    @unittest.skipIf(
        Path('/sys/kernel/security/apparmor').exists(), 'has AppArmor'
    )
    def test_refused_without_apparmor(self) -> None:
        flavor = self.flavor({'isolation:svirt': 'apparmor'})
        self.assertNoValidHost(self.boot_flavor(flavor))
        self.assertExplained(flavor, 'isolation.svirt.no_model')


class AbsentTest(base.TestCase):
    """isolation:qemu_absent, with components that QEMU has and lacks."""

    def setUp(self) -> None:
        super().setUp()
        there = emulator.types(self.cloud.hosts[base.HARDENED].emulator())
        self.present: list[str] = []
        self.absent: list[str] = []
        for component, row in catalogue.CATALOGUE.items():
            found = any(fnmatch.filter(there, one) for one in row.types)
            (self.present if found else self.absent).append(component)

    def test_what_it_lacks(self) -> None:
        if not self.absent:
            self.skipTest('this QEMU has all components of the catalogue')
        server = self.boot(
            {'isolation:qemu_absent': ','.join(self.absent[:3])}
        )
        self.assertActive(server)

    def test_what_it_has(self) -> None:
        component = self.present[0]
        flavor = self.flavor({'isolation:qemu_absent': component})
        self.assertNoValidHost(self.boot_flavor(flavor))
        self.assertExplained(
            flavor, 'isolation.qemu.component_present', component
        )

    def test_all(self) -> None:
        flavor = self.flavor({'isolation:qemu_absent': groups.ALL})
        self.assertNoValidHost(self.boot_flavor(flavor))
        self.assertExplained(
            flavor, 'isolation.qemu.component_present', self.present[-1]
        )


class UntaggedTest(base.TestCase):
    """Flavors without our extra specs."""

    def test_run_on_every_host(self) -> None:
        flavor = self.flavor()
        for host, there in self.cloud.hosts.items():
            with self.subTest(host):
                server = self.boot_flavor(flavor, host=host)
                self.assertActive(server, host)
                process = self.guests.process(server)
                self.assertTrue(process.runs(there.emulator()))
                self.assertNotIn('isolation', str(self.guests.events(server)))
