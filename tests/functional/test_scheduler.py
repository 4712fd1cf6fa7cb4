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

"""Which hosts the scheduler keeps."""

from importlib import metadata
import time
from unittest import mock

from nova.tests.functional.api import client

from nova_isolation.mechanisms.svirt import mechanism
from nova_isolation.model import facts
from nova_isolation.scheduler import filter as isolation_filter
from tests.functional import base
from tests.functional import fixtures

_RELEASE = int(metadata.version('nova').split('.', 1)[0])


class FactsTest(base.TestCase):
    """What Nova holds of a host decides."""

    def setUp(self):
        super().setUp()
        self.flags(request_traits=False, group='isolation')
        self.flags(instances=-1, group='quota')
        self.start(fixtures.Machine(), fixtures.Machine())

    def test_facts_that_do_not_count(self):
        flavor = self.flavor(svirt='selinux')
        document = self.node('host1').stats[facts.STAT]
        now = int(time.time())
        for stats, code in (
            ({facts.STAT: None}, 'facts.missing'),
            ({facts.STAT: ''}, 'facts.missing'),
            ({facts.STAT: '{"v":1'}, 'facts.malformed'),
            ({facts.STAT: '{"v":1,"svirt":[]}'}, 'facts.malformed'),
            ({facts.STAT: '{"v":2}'}, 'facts.newer_schema'),
            ({facts.STAT: '{"v":1}'}, 'svirt.unknown'),
            ({facts.TIME_STAT: None}, 'facts.stale'),
            ({facts.TIME_STAT: 'nan'}, 'facts.stale'),
            ({facts.TIME_STAT: str(now - 3600)}, 'facts.stale'),
            ({facts.TIME_STAT: str(now + 3600)}, 'facts.from_the_future'),
            ({facts.MODE_STAT: 'audit'}, 'host.audits'),
            ({facts.MODE_STAT: None}, 'host.audits'),
        ):
            whole = {
                facts.STAT: document,
                facts.TIME_STAT: str(now),
                facts.MODE_STAT: 'enforce',
            }
            self.write_stats('host1', **(whole | stats))
            self.stdlog.delete_stored_logs()
            server = self.boot(flavor)
            self.assertHost('host2', server)
            (line,) = self.logged('hosts meet')
            self.assertIn('Isolation: 1 of 2 hosts meet', line)
            self.assertIn(server['id'], line)
            self.assertTrue(line.endswith(f"{{'isolation.{code}': 1}}"), line)
        self.write_stats('host1', **whole)
        self.assertHost('host1', self.boot(flavor))
        # An untagged guest goes there whatever the facts are.
        self.write_stats('host1', **{facts.STAT: None})
        self.assertHost('host1', self.boot(self.flavor()))

    def test_options(self):
        flavor = self.flavor(svirt='selinux')
        old = str(int(time.time()) - 200)
        self.write_stats('host1', **{facts.TIME_STAT: old})
        self.assertHost('host2', self.boot(flavor))
        self.flags(facts_max_age=400, group='isolation')
        self.assertHost('host1', self.boot(flavor))

    def test_rebuild_on_a_host_in_audit_mode(self):
        # Nova asks placement for no trait then.
        flavor = self.flavor(svirt='selinux')
        server = self.boot(flavor)
        self.assertHost('host1', server)
        self.write_stats('host1', **{facts.MODE_STAT: 'audit'})
        self.assertRaises(
            client.OpenStackApiException,
            self._rebuild_server,
            server,
            self.glance.auto_disk_config_enabled_image['id'],
        )
        self.assertEqual(
            "{'isolation.host.audits': 1}",
            self.logged('hosts meet')[-1].rpartition('reason: ')[2],
        )

    def test_untagged_costs_nothing(self):
        flavor = self.flavor()
        given = []
        original = isolation_filter.IsolationFilter.filter_all

        def filter_all(one, hosts, spec):
            result = original(one, hosts, spec)
            given.append(result is hosts)
            return result

        self.stdlog.delete_stored_logs()
        with mock.patch.object(
            isolation_filter.IsolationFilter, 'filter_all', filter_all
        ):
            self.boot(flavor)
        self.assertEqual([True], given)
        self.assertEqual([], self.logged('nova_isolation'))

    def test_rebuild_with_another_image(self):
        flavor = self.flavor(svirt='selinux')
        server = self.boot(flavor)
        image = self.glance.auto_disk_config_enabled_image['id']
        self.assertNotEqual(server['image']['id'], image)
        server = self._rebuild_server(server, image)
        self.assertHost('host1', server)
        self.machines['host1'].selinux = 'permissive'
        self.update('host1')
        defined = len(self.connection('host1').defined)
        other = self.glance.image1['id']
        # Nova's harness makes a call of what is a cast.
        self.assertRaises(
            client.OpenStackApiException, self._rebuild_server, server, other
        )
        server = self._wait_for_state_change(server, 'ERROR')
        self.assertIn('No valid host', server['fault']['message'])
        self.assertEqual(
            "{'isolation.svirt.not_enforcing': 1}",
            self.logged('hosts meet')[-1].rpartition('reason: ')[2],
        )
        self.assertEqual(defined, len(self.connection('host1').defined))


class ImageTest(base.TestCase):
    """What no host can prove for an image is refused before any is asked."""

    def test_emulated_architecture(self):
        self.start(fixtures.Machine(), fixtures.Machine())
        image = self._create_image({'hw_emulation_architecture': 'aarch64'})[
            'id'
        ]
        for specs, code in (
            ({'qemu_hardening': 'pie'}, 'isolation.qemu'),
            ({'qemu_absent': 'floppy'}, 'isolation.qemu'),
            ({'hypervisor': 'kvm'}, 'isolation.hypervisor'),
        ):
            for az in (None, 'nova:host1'):
                server = self.boot(
                    self.flavor(**specs), 'ERROR', image_uuid=image, az=az
                )
                self.assertIn(
                    f'[{code}.emulated_architecture]',
                    server['fault']['message'],
                )
        self.assertEqual([], self.logged('hosts meet'))
        for host in ('host1', 'host2'):
            self.assertEqual([], self.connection(host).defined)

    def test_device_of_a_component_that_must_be_absent(self):
        self.start(fixtures.Machine())
        image = self._create_image({'hw_input_bus': 'usb'})['id']
        code = '[isolation.qemu.device_absent]'
        for az in (None, 'nova:host1'):
            server = self.boot(
                self.flavor(qemu_absent='usb'),
                'ERROR',
                image_uuid=image,
                az=az,
            )
            self.assertIn(code, server['fault']['message'])
            self.assertIn('hw_input_bus=usb', server['fault']['message'])
        self.assertEqual([], self.connection('host1').defined)
        for word in ('sound', 'usb-uhci,usb-ohci,usb-ehci'):
            self.assertHost(
                'host1',
                self.boot(self.flavor(qemu_absent=word), image_uuid=image),
            )

    def test_device_that_the_flavor_asks_for(self):
        """A flavor can say some of it in the place of an image."""
        self.start(fixtures.Machine())
        flavor = self.flavor(qemu_absent='all')
        body = {'extra_specs': {'hw:sound_model': 'ac97'}}
        if _RELEASE < 32:
            # Nova 31 does not know these extra specs, and says so.
            self.assertRaisesRegex(
                client.OpenStackApiException,
                'not appear to be a valid extra spec',
                self.api_fixture.admin_api.post_extra_spec,
                flavor,
                body,
            )
            return
        self.api_fixture.admin_api.post_extra_spec(flavor, body)
        server = self.boot(flavor, 'ERROR')
        self.assertIn(
            '[isolation.qemu.device_absent]', server['fault']['message']
        )
        self.assertIn('hw_sound_model=ac97', server['fault']['message'])
        self.assertEqual([], self.connection('host1').defined)

    def test_groups(self):
        self.start(
            fixtures.Machine(types=frozenset({'AC97'})), fixtures.Machine()
        )
        prefix = 'CUSTOM_ISOLATION_QEMU_ABSENT_'
        self.assertIn(f'{prefix}USB', self.traits('host1'))
        self.assertNotIn(f'{prefix}ALL', self.traits('host1'))
        self.assertIn(f'{prefix}ALL', self.traits('host2'))
        self.assertHost(
            'host1', self.boot(self.flavor(qemu_absent='usb'), az='nova:host1')
        )
        for word in ('all', 'sound,usb'):
            self.assertHost('host2', self.boot(self.flavor(qemu_absent=word)))
        server = self.boot(
            self.flavor(qemu_absent='all'), 'ERROR', az='nova:host1'
        )
        self.assertIn('No valid host', server['fault']['message'])

    def test_image_of_the_own_architecture(self):
        self.start(fixtures.Machine())
        image = self._create_image({'hw_architecture': 'x86_64'})['id']
        flavor = self.flavor(qemu_hardening='pie', hypervisor='kvm')
        self.assertHost('host1', self.boot(flavor, image_uuid=image))


class TraitsTest(base.TestCase):
    """What placement knows of the hosts."""

    TRAITS_EXIST = False

    def test_published_and_removed(self):
        self.start(fixtures.Machine(types=frozenset({'isa-fdc'})))
        prefix = 'CUSTOM_ISOLATION_'
        traits = self.traits('host1')
        self.assertGreaterEqual(
            traits,
            {
                f'{prefix}HYPERVISOR_KVM',
                f'{prefix}SVIRT_SELINUX',
                f'{prefix}SVIRT_ANY',
                f'{prefix}SVIRT_TYPE_SVIRT_T',
                f'{prefix}QEMU_NX',
                f'{prefix}QEMU_SANDBOX',
                f'{prefix}QEMU_ABSENT_CIRRUS',
            },
        )
        self.assertNotIn(f'{prefix}QEMU_ABSENT_FLOPPY', traits)
        others = self._get_provider_traits(self.compute_rp_uuids['host1'])
        self.machines['host1'].selinux = 'permissive'
        self.machines['host1'].hardening -= {'nx'}
        self.update('host1')
        gone = {'SVIRT_SELINUX', 'SVIRT_ANY', 'QEMU_NX'}
        gone |= {'SVIRT_TYPE_SVIRT_T', 'SVIRT_TYPE_SVIRT_TCG_T'}
        self.assertEqual(
            {prefix + name for name in gone}, traits - self.traits('host1')
        )
        # Those of Nova are as they were.
        self.assertEqual(
            {name for name in others if not name.startswith(prefix)},
            {
                name
                for name in self._get_provider_traits(
                    self.compute_rp_uuids['host1']
                )
                if not name.startswith(prefix)
            },
        )
        self.machines['host1'].selinux = 'enforcing'
        self.machines['host1'].hardening |= {'nx'}
        self.update('host1')
        self.assertEqual(traits, self.traits('host1'))

    def test_of_a_host_that_cannot_measure(self):
        self.start(fixtures.Machine())
        self.machines['host1'].broken['emulator'] = OSError('gone')
        self.update('host1')
        names = self.traits('host1')
        self.assertEqual([], [n for n in names if '_QEMU_' in n])
        self.assertIn('CUSTOM_ISOLATION_SVIRT_SELINUX', names)

    def test_placement_narrows_the_hosts(self):
        self.start(fixtures.Machine(selinux='permissive'), fixtures.Machine())
        flavor = self.flavor(svirt='selinux', qemu_hardening='pie,nx')
        self.assertHost('host2', self.boot(flavor))
        (line,) = self.logged('hosts meet')
        self.assertIn('1 of 1 hosts meet', line)

    def test_forced_host(self):
        self.start(fixtures.Machine(selinux='permissive'), fixtures.Machine())
        flavor = self.flavor(svirt='selinux')
        server = self.boot(flavor, 'ERROR', az='nova:host1')
        self.assertIn('No valid host', server['fault']['message'])
        self.assertEqual([], self.connection('host1').defined)
        self.assertHost('host2', self.boot(flavor, az='nova:host2'))
        # It was not asked: Nova's filters do not run for a forced host.
        self.assertEqual([], self.logged('hosts meet'))

    def test_forced_host_with_another_driver(self):
        self.start(fixtures.Machine())
        self.machines['host2'] = fixtures.Machine()
        self.flags(compute_driver='libvirt.LibvirtDriver')
        self.start_compute('host2')
        self.assertEqual(set(), self.traits('host2'))
        # A choice of hypervisors implies no trait of theirs.
        for flavor in (
            self.flavor(hypervisor='kvm,qemu'),
            self.flavor(svirt='selinux'),
        ):
            for request_traits in (True, False):
                self.flags(request_traits=request_traits, group='isolation')
                server = self.boot(flavor, 'ERROR', az='nova:host2')
                self.assertIn('No valid host', server['fault']['message'])
        self.assertEqual({}, self.connection('host2')._vms)
        self.assertHost('host2', self.boot(self.flavor(), az='nova:host2'))

    def test_mechanism_that_cannot_name_its_traits(self):
        self.start(fixtures.Machine())
        tagged, untagged = self.flavor(svirt='selinux'), self.flavor()
        with mock.patch.object(
            mechanism.SvirtMechanism,
            'required_traits',
            side_effect=KeyError('x'),
        ):
            for az in (None, 'nova:host1'):
                server = self.boot(tagged, 'ERROR', az=az)
                self.assertIn(
                    '[isolation.mechanism.failed]', server['fault']['message']
                )
            self.driver('host1')._trait_creation._done = False
            self.boot(untagged)

    def test_facts_decide_where_traits_are_wrong(self):
        self.start(fixtures.Machine(), fixtures.Machine())
        machine = self.machines['host1']
        machine.selinux = 'permissive'
        document = self.guard('host1').host.measure().document
        self.write_stats('host1', **{facts.STAT: document})
        self.assertIn('CUSTOM_ISOLATION_SVIRT_ANY', self.traits('host1'))
        self.assertHost('host2', self.boot(self.flavor(svirt='any')))
