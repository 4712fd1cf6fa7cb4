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

"""Services start, or refuse to."""

import importlib
import pathlib
import re
import subprocess
import sys
from unittest import mock

import fixtures as base_fixtures
from nova import exception
from nova.scheduler import request_filter
from nova.virt.libvirt import driver as libvirt_driver
from nova.virt.libvirt import guest as libvirt_guest
from nova.virt.libvirt import host as libvirt_host
from oslotest import base as oslo_base

from nova_isolation.mechanisms import registry
from nova_isolation.mechanisms.qemu import mechanism
from nova_isolation.scheduler import prefilter
from nova_isolation.virt import driver
from nova_isolation.virt import signatures
from nova_isolation.virt.roads import choke_points
from tests.functional import base
from tests.functional import fixtures

#: Our classes, and those of Nova from which they are derived.
CLASSES = {
    driver.IsolationDriver: libvirt_driver.LibvirtDriver,
    choke_points.GuardedGuest: libvirt_guest.Guest,
    choke_points.GuardedHost: libvirt_host.Host,
}

NOVA = pathlib.Path(libvirt_driver.__file__).parents[2]


def changed_launch(self, pause=False, verify=None):
    """A launch of a Nova to come."""


class SignaturesTest(oslo_base.BaseTestCase):
    def test_this_nova(self):
        self.assertEqual([], list(signatures.missing()))
        signatures.check(CLASSES)

    def test_changed(self):
        for owner, name, new in (
            (libvirt_guest.Guest, 'launch', changed_launch),
            (libvirt_host.Host, 'get_guest', lambda self, uuid: None),
            (
                libvirt_driver.LibvirtDriver,
                '_create_guest',
                lambda self, xml, context: None,
            ),
        ):
            with mock.patch.object(owner, name, new):
                error = self.assertRaises(
                    exception.InvalidConfiguration, signatures.check, CLASSES
                )
                self.assertIn(f'{owner.__name__}.{name}: ', str(error))
                self.assertRaises(
                    exception.InvalidConfiguration, importlib.reload, driver
                )

    def test_service_does_not_start(self):
        script = """
from nova.virt import driver
from nova.virt.libvirt import guest
def launch(self, pause=False, verify=None):
    pass
guest.Guest.launch = launch
driver.load_compute_driver(None, 'isolation.IsolationDriver')
"""
        run = subprocess.run(
            [sys.executable, '-c', script],
            capture_output=True,
            text=True,
            timeout=100,
        )
        self.assertEqual(1, run.returncode)
        self.assertIn('InvalidConfiguration', run.stderr)
        self.assertIn('Guest.launch: wanted (self, pause=False)', run.stderr)

    def test_method_that_is_called_and_does_not_exist(self):
        called = {(libvirt_host.Host, 'define'): 'self xml'}
        (text,) = signatures.missing(called)
        self.assertTrue(text.endswith('Host.define does not exist'))

    def test_guests_start_at_one_place(self):
        # If this fails, Nova has another road to a running guest: see what
        # it is and guard it.
        found = [
            (path.name, line.strip())
            for path in sorted((NOVA / 'virt/libvirt').glob('*.py'))
            for line in path.read_text().splitlines()
            if re.search(r'\bcreateWithFlags\b|\.createXML\b', line)
        ]
        self.assertEqual(
            [('guest.py', 'return self._domain.createWithFlags(flags)')],
            found,
        )

    def test_domains_are_written_at_one_place(self):
        found = [
            path.name
            for path in sorted((NOVA / 'virt/libvirt').glob('*.py'))
            if re.search(r'\bdefineXML(Flags)?\(', path.read_text())
        ]
        self.assertEqual(['host.py'], found)


class ServicesTest(base.TestCase):
    def test_says_what_it_found(self):
        self.start(fixtures.Machine())
        (line,) = self.logged('nova-isolation guards this host')
        self.assertIn('mode enforce', line)
        self.assertIn(self.guard('host1').host.measure().document, line)


class MechanismThatDoesNotLoadTest(base.TestCase):
    def setUp(self):
        self.useFixture(
            base_fixtures.MockPatchObject(
                mechanism.QemuMechanism,
                '__init__',
                side_effect=RuntimeError('a library is missing'),
            )
        )
        registry.get.cache_clear()
        self.addCleanup(registry.get.cache_clear)
        super().setUp()

    def test_flavors_that_need_it(self):
        self.start(fixtures.Machine())
        (line,) = self.logged('failed to load')
        self.assertIn('Mechanism qemu failed to load', line)
        self.assertIn('RuntimeError: a library is missing', line)
        flavor = self.flavor(qemu_sandbox='true')
        for az in (None, 'nova:host1'):
            server = self.boot(flavor, 'ERROR', az=az)
            self.assertIn(
                '[isolation.mechanism.unavailable]', server['fault']['message']
            )
        # The request filter refuses it without traits as well.
        self.flags(request_traits=False, group='isolation')
        server = self.boot(flavor, 'ERROR')
        self.assertIn(
            '[isolation.mechanism.unavailable]', server['fault']['message']
        )
        # Without the request filter, the filter and the compute host refuse.
        self.useFixture(
            base_fixtures.MockPatchObject(
                request_filter,
                'ALL_REQUEST_FILTERS',
                [
                    one
                    for one in request_filter.ALL_REQUEST_FILTERS
                    if one is not prefilter.isolation_filter
                ],
            )
        )
        self.boot(flavor, 'ERROR')
        (line,) = self.logged('hosts meet')
        self.assertIn("{'isolation.mechanism.unavailable': 1}", line)
        self.refused(
            flavor, 'isolation.mechanism.unavailable', az='nova:host1'
        )
        self.assertEqual([], self.connection('host1').defined)
        # Others are as ever.
        server = self.boot(self.flavor(svirt='selinux'))
        self.assertEqual([fixtures.PAUSED], self.domain(server).started)
