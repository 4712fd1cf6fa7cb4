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

"""Every requirement, with a host that meets it and one that does not."""

from unittest import mock

import fixtures as base_fixtures
from lxml import etree
import nova.conf
from nova.tests.fixtures import libvirt as fakelibvirt
from nova.virt.libvirt import guest as libvirt_guest

from nova_isolation.probes import program
from tests.functional import base
from tests.functional import fixtures

CONF = nova.conf.CONF

MLS = 'system_u:system_r:kernel_t:s15:c0.c1023'
CERTIFIED = {'certification': {'declared': ['LSPP']}}


def apparmor(mode: str = 'enforce', **more) -> fixtures.Machine:
    """A machine whose libvirt confines with AppArmor."""
    return fixtures.Machine(
        secmodels=('apparmor',), selinux=None, apparmor=mode, **more
    )


class PlacedByFactsTest(base.TestCase):
    """host1 comes first and lacks it, host2 has it; then none has it.

    Without the traits, so that it is the filter that decides.
    """

    def setUp(self):
        super().setUp()
        self.flags(request_traits=False, group='isolation')
        self.start(fixtures.Machine(), fixtures.Machine())

    def _check(self, lacking, having, code, **extra_specs):
        self.become('host1', lacking)
        self.become('host2', having)
        flavor = self.flavor(**extra_specs)
        self.stdlog.delete_stored_logs()
        server = self.boot(flavor)
        self.assertHost('host2', server)
        self.assertEqual([fixtures.PAUSED], self.domain(server).started)
        self.become('host2', lacking)
        server = self.boot(flavor, 'ERROR')
        self.assertIn('No valid host', server['fault']['message'])
        counts = [
            line.rpartition('refused by reason: ')[2]
            for line in self.logged('hosts meet')
        ]
        self.assertEqual([f"{{'{code}': 1}}", f"{{'{code}': 2}}"], counts)

    def test_hypervisor(self):
        self._check(
            fixtures.Machine(virt_type='qemu'),
            fixtures.Machine(),
            'isolation.hypervisor.other',
            hypervisor='kvm',
        )
        self._check(
            fixtures.Machine(broken={'domain_capabilities': OSError('gone')}),
            fixtures.Machine(virt_type='qemu'),
            'isolation.hypervisor.unknown',
            hypervisor='kvm,qemu',
        )

    def test_certification(self):
        self._check(
            fixtures.Machine(options=CERTIFIED),
            fixtures.Machine(options=CERTIFIED, kernel_context=MLS),
            'isolation.certification.precondition',
            certification='LSPP',
        )
        self._check(
            fixtures.Machine(kernel_context=MLS),
            fixtures.Machine(options=CERTIFIED, kernel_context=MLS),
            'isolation.certification.undeclared',
            certification='LSPP',
        )

    def test_selinux(self):
        self._check(
            fixtures.Machine(selinux='permissive'),
            fixtures.Machine(),
            'isolation.svirt.not_enforcing',
            svirt='selinux',
        )
        self._check(
            fixtures.Machine(secmodels=()),
            fixtures.Machine(),
            'isolation.svirt.no_model',
            svirt='selinux',
        )
        self._check(
            fixtures.Machine(options={'svirt': {'types': ['svirt_t']}}),
            fixtures.Machine(options={'svirt': {'types': ['svirt_x_t']}}),
            'isolation.svirt.type_not_allowed',
            svirt='selinux',
            svirt_type='svirt_x_t',
        )
        self._check(
            fixtures.Machine(permissive=('svirt_t',)),
            fixtures.Machine(),
            'isolation.svirt.default_type',
            svirt='selinux',
        )
        self._check(
            fixtures.Machine(permissive=('svirt_t',)),
            fixtures.Machine(),
            'isolation.svirt.type_not_allowed',
            svirt='selinux',
            svirt_type='svirt_t',
        )

    def test_apparmor(self):
        self._check(
            apparmor('complain'),
            apparmor(),
            'isolation.svirt.not_enforcing',
            svirt='apparmor',
        )
        self._check(
            fixtures.Machine(secmodels=(), selinux=None),
            apparmor(),
            'isolation.svirt.no_model',
            svirt='any',
        )

    def test_emulator(self):
        self._check(
            fixtures.Machine(hardening=fixtures.HARDENED - {'nx'}),
            fixtures.Machine(),
            'isolation.qemu.not_hardened',
            qemu_hardening='pie,nx,relro',
        )
        self._check(
            fixtures.Machine(types=frozenset({'isa-fdc', 'qxl'})),
            fixtures.Machine(types=frozenset({'qxl'})),
            'isolation.qemu.component_present',
            qemu_absent='floppy',
        )
        self._check(
            fixtures.Machine(broken={'emulator': OSError('no answer')}),
            fixtures.Machine(),
            'isolation.qemu.unknown',
            qemu_hardening='pie',
        )

    def test_sandbox(self):
        self._check(
            fixtures.Machine(seccomp_sandbox=0),
            fixtures.Machine(seccomp_sandbox=1),
            'isolation.qemu.no_sandbox',
            qemu_sandbox='true',
        )
        self._check(
            fixtures.Machine(sandbox=False),
            fixtures.Machine(),
            'isolation.qemu.no_sandbox',
            qemu_sandbox='true',
        )
        self._check(
            fixtures.Machine(
                broken={'native': fakelibvirt.libvirtError('no')}
            ),
            fixtures.Machine(),
            'isolation.qemu.unknown',
            qemu_sandbox='true',
        )


class VerificationTest(base.TestCase):
    """A guest that turns out not as asked goes to the next host."""

    def _check(self, lie, code, machine=fixtures.Machine, **extra_specs):
        self.start(machine(lies=lie), machine())
        server = self.boot(self.flavor(**extra_specs), networks='auto')
        self.assertHost('host2', server)
        failed, passed = self.events(server, 'isolation_verify')
        self.assertEvent(failed, 'Error', 'host1')
        self.assertIn(f'[{code}]', failed['details'])
        self.assertEvent(passed, 'Success', 'host2')
        calls = self.machines['host1'].calls
        self.assertIn('createWithFlags(1)', calls)
        self.assertIn('destroy', calls)
        self.assertNotIn('resume', calls)
        self.assertNothingLeft(server, 'host1')

    def test_hypervisor(self):
        self._check(
            {'domain_xml': '<domain type="qemu"><name>x</name></domain>'},
            'isolation.hypervisor.other',
            hypervisor='kvm',
        )

    def test_selinux_type(self):
        self._check(
            {
                'security_label': ['u:r:svirt_t:s0:c1,c2', True],
                'process_label': 'u:r:svirt_t:s0:c1,c2',
            },
            'isolation.svirt.wrong_label',
            svirt='selinux',
            svirt_type='svirt_tcg_t',
        )

    def test_selinux_where_kernel_and_libvirt_differ(self):
        self._check(
            {'process_label': 'system_u:system_r:virtd_t:s0-s0:c0.c1023'},
            'isolation.svirt.wrong_label',
            svirt='selinux',
        )

    def test_selinux_that_is_not_enforced(self):
        self._check(
            {'security_label': ['system_u:system_r:svirt_t:s0:c1,c2', False]},
            'isolation.svirt.not_enforcing',
            svirt='any',
        )

    def test_apparmor(self):
        self._check(
            {'process_label': 'unconfined'},
            'isolation.svirt.wrong_label',
            machine=apparmor,
            svirt='apparmor',
        )

    def test_sandbox(self):
        self._check(
            {'seccomp': 0}, 'isolation.qemu.no_sandbox', qemu_sandbox='true'
        )

    def test_filter_that_is_not_of_qemu(self):
        # libvirtd was under it.
        self._check(
            {'arguments': ['-sandbox', 'off']},
            'isolation.qemu.no_sandbox',
            qemu_sandbox='true',
        )

    def test_emulator(self):
        other = program.Identity(1, 2, 3, 4, 5)
        self._check(
            {'executable': other},
            'isolation.qemu.other_binary',
            qemu_hardening='pie',
            qemu_absent='floppy',
        )

    def test_modules(self):
        self._check(
            {'modules': ()},
            'isolation.qemu.other_modules',
            qemu_absent='floppy',
        )

    def test_certification_that_ends_during_the_start(self):
        def machine(**kwargs):
            return fixtures.Machine(
                options=CERTIFIED, kernel_context=MLS, **kwargs
            )

        def on_start(domain):
            domain.machine.selinux = 'permissive'

        self.start(machine(on_start=on_start), machine())
        server = self.boot(self.flavor(certification='LSPP'))
        self.assertHost('host2', server)
        failed, passed = self.events(server, 'isolation_verify')
        self.assertEvent(failed, 'Error', 'host1')
        self.assertIn(
            'isolation.certification.precondition', failed['details']
        )
        self.assertEvent(passed, 'Success', 'host2')
        self.assertNotIn('resume', self.machines['host1'].calls)

    def test_categories_of_another_guest(self):
        self.start(fixtures.Machine())
        flavor = self.flavor(svirt='selinux')
        first = self.boot(flavor)
        label = self.domain(first).label
        self.machines['host1'].lies = {
            'security_label': [label, True],
            'process_label': label,
        }
        self.refused(flavor, 'isolation.svirt.category_clash')
        # The guest that was there is left alone.
        self.assertTrue(self.domain(first).isActive())


class DomainXmlTest(base.TestCase):
    """What is put into a domain's XML, and what is not."""

    def setUp(self):
        super().setUp()
        self.written = []
        original = libvirt_guest.Guest.create.__func__

        def create(cls, xml, host):
            self.written.append(xml)
            return original(cls, xml, host)

        self.useFixture(
            base_fixtures.MockPatchObject(
                libvirt_guest.Guest, 'create', classmethod(create)
            )
        )

    def _defined(self, **extra_specs):
        """The XML as Nova wrote it, and as it came to libvirt."""
        server = self.boot(self.flavor(**extra_specs))
        self.assertEqual(1, len(self.written))
        return self.written.pop(), self.domain(server).xml

    def _labelled(self, **extra_specs):
        """The one label; all else is as Nova wrote it."""
        before, after = map(etree.fromstring, self._defined(**extra_specs))
        (label,) = after.findall('seclabel')
        after.remove(label)
        self.assertEqual(
            etree.tostring(before, method='c14n', strip_text=True),
            etree.tostring(after, method='c14n', strip_text=True),
        )
        return label

    def test_selinux(self):
        options = {'svirt': {'types': ['svirt_t', 'svirt_x_t']}}
        self.start(fixtures.Machine(options=options))
        wanted = {'type': 'dynamic', 'model': 'selinux', 'relabel': 'yes'}
        label = self._labelled(svirt='selinux')
        self.assertEqual(wanted, dict(label.attrib))
        self.assertEqual(0, len(label))
        label = self._labelled(svirt='any')
        self.assertEqual(wanted, dict(label.attrib))
        label = self._labelled(svirt='selinux', svirt_type='svirt_x_t')
        self.assertEqual(wanted, dict(label.attrib))
        (base_label,) = label
        self.assertEqual('baselabel', base_label.tag)
        self.assertEqual('system_u:system_r:svirt_x_t:s0', base_label.text)

    def test_apparmor(self):
        self.start(apparmor())
        label = self._labelled(svirt='any')
        self.assertEqual(
            {'type': 'dynamic', 'model': 'apparmor', 'relabel': 'yes'},
            dict(label.attrib),
        )
        self.assertEqual(0, len(label))

    def test_all_else_leaves_it_as_it_is(self):
        self.start(fixtures.Machine(options=CERTIFIED, kernel_context=MLS))
        before, after = self._defined(
            hypervisor='kvm,qemu',
            certification='LSPP',
            qemu_hardening='pie',
            qemu_sandbox='true',
            qemu_absent='floppy',
        )
        self.assertEqual(before, after)

    def test_untagged(self):
        self.start(fixtures.Machine())
        guard = self.guard('host1')
        with (
            mock.patch.object(guard, 'admit') as admit,
            mock.patch.object(guard, 'confine') as confine,
            mock.patch.object(guard, 'launch') as launch,
        ):
            server = self.boot(self.flavor())
        for method in (admit, confine, launch):
            method.assert_not_called()
        domain = self.domain(server)
        self.assertEqual(self.written, [domain.xml])
        self.assertNotIn('seclabel', domain.xml)
        self.assertEqual([0], domain.started)
        self.assertEqual([], self.events(server, 'isolation_verify'))
        self.assertEqual([], self.logged('nova_isolation.scheduler'))
        for call in ('seccomp', 'security_label', 'process_label', 'resume'):
            self.assertNotIn(call, self.machines['host1'].calls)
