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

import sys
import threading
import types
from unittest import mock

from nova_isolation.host import bounded_calls
from nova_isolation.probes.xen import answers
from nova_isolation.virt.xen import hypervisor
from tests.unit import base

RUNNING, PAUSED, SHUTOFF = 1, 3, 5
NO_DOMAIN, BUSY = 42, 68


class Error(Exception):
    """As libvirt.libvirtError."""

    def __init__(self, code):
        super().__init__(code)
        self.get_error_code = lambda: code


class TestCase(base.TestCase):
    def setUp(self):
        super().setUp()
        libvirt = types.SimpleNamespace(
            libvirtError=Error,
            VIR_DOMAIN_AFFECT_CONFIG=2,
            VIR_DOMAIN_METADATA_ELEMENT=2,
            VIR_DOMAIN_PAUSED=PAUSED,
            VIR_DOMAIN_SHUTOFF=SHUTOFF,
            VIR_ERR_NO_DOMAIN=NO_DOMAIN,
        )
        patch = mock.patch.dict(sys.modules, {'libvirt': libvirt})
        patch.start()
        self.addCleanup(patch.stop)
        host = mock.Mock()
        self.lookup = host.get_connection.return_value.lookupByUUIDString
        self.xen = mock.Mock()
        self.hypervisor = hypervisor.XenHypervisor(
            host,
            self.xen,
            types.SimpleNamespace(measure_timeout=10, process_root='/proc'),
        )


class IsKeptTest(TestCase):
    def test_by_what_libvirt_says(self):
        for active, state, expected in (
            (1, SHUTOFF, True),
            (0, SHUTOFF, False),
            (1, RUNNING, False),
            (1, PAUSED, False),
        ):
            domain = self.lookup.return_value
            domain.isActive.return_value = active
            domain.info.return_value = [state]
            self.assertIs(expected, self.hypervisor.is_kept('a'))
        self.lookup.assert_called_with('a')

    def test_there_is_no_domain(self):
        self.lookup.side_effect = Error(NO_DOMAIN)
        self.assertIs(False, self.hypervisor.is_kept('a'))

    def test_libvirt_does_not_say(self):
        self.lookup.side_effect = Error(BUSY)
        self.assertRaises(Error, self.hypervisor.is_kept, 'a')


class PausedTestCase(TestCase):
    """libvirt takes each guest for one that runs when it was restarted."""

    UUID = '4b6d8f3c-2f4e-4c39-9d7b-8a1f0e5c6b7a'

    def setUp(self):
        super().setUp()
        self.domain = self.lookup.return_value
        self.domain.UUIDString.return_value = self.UUID
        self.libvirt_says(RUNNING)

    def libvirt_says(self, state):
        self.domain.info.return_value = [state]

    def xen_says(self, **fields):
        values = {
            'id': 7,
            'uuid': self.UUID,
            'label': 'system_u:system_r:alice_t',
            'paused': True,
            'dying': False,
            'hvm': False,
        }
        self.xen.ask.return_value = answers.Answer(
            answers.Hypervisor('4.17', answers.ENFORCING, 1, 'ab', ''),
            domains=(answers.Domain(**{**values, **fields}),),
        )


class IsPausedTest(PausedTestCase):
    def is_paused(self):
        return self.hypervisor.is_paused(mock.Mock(uuid=self.UUID))

    def test_by_what_either_says(self):
        self.xen_says()
        self.assertIs(True, self.is_paused())
        self.lookup.assert_called_with(self.UUID)
        self.xen_says(paused=False)
        self.assertIs(False, self.is_paused())
        self.libvirt_says(PAUSED)
        self.assertIs(True, self.is_paused())

    def test_nobody_says(self):
        self.xen.ask.side_effect = TimeoutError
        self.assertRaises(TimeoutError, self.is_paused)
        self.lookup.side_effect = Error(NO_DOMAIN)
        self.assertRaises(Error, self.is_paused)

    def test_no_answer_for_long(self):
        self.hypervisor._calls = bounded_calls.BoundedCalls(0.05)
        ended = threading.Event()
        self.addCleanup(ended.set)
        self.xen.ask.side_effect = lambda question: ended.wait(60)
        self.assertRaises(TimeoutError, self.is_paused)


class PowerOffPausedTest(PausedTestCase):
    def power_off(self):
        return self.hypervisor.power_off_paused(self.UUID)

    def test_paused(self):
        self.xen_says()
        self.assertTrue(self.power_off())
        self.domain.destroy.assert_called_once_with()
        # Not of the devices: xenstore may be silent.
        self.xen.ask.assert_called_once_with(answers.Question())

    def test_as_libvirt_says(self):
        self.libvirt_says(PAUSED)
        self.assertTrue(self.power_off())
        self.domain.destroy.assert_called_once_with()
        self.xen.ask.assert_not_called()

    def test_not_paused(self):
        for fields in (
            {'paused': False},
            {'dying': True},
            {'uuid': self.UUID[::-1]},
        ):
            self.xen_says(**fields)
            self.assertFalse(self.power_off(), fields)
        self.domain.destroy.assert_not_called()

    def test_the_hypervisor_does_not_say(self):
        # It is tried again.
        self.xen.ask.side_effect = TimeoutError
        self.assertRaises(TimeoutError, self.power_off)
        self.domain.destroy.assert_not_called()
