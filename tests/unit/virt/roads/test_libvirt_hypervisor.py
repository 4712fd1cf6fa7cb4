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

"""What the driver gives to the guard, over libvirt."""

import sys
import types
from unittest import mock

from nova.compute import power_state

from nova_isolation.host import process_labels
from nova_isolation.host import running_guest
from nova_isolation.virt.roads import qemu_hypervisor
from tests.unit import base
from tests.unit.host import test_bounded_calls

NO_DOMAIN, BUSY = 42, 1
RPC, QEMU = 7, 10
PAUSED, RUNNING = 3, 1


class Error(Exception):
    """As libvirt.libvirtError."""

    def __init__(self, code=BUSY, domain=QEMU):
        super().__init__(code, domain)
        self.get_error_code = lambda: code
        self.get_error_domain = lambda: domain


#: Seconds that a question to libvirt may take.
LIMIT = 0.2


class QemuHypervisorTest(base.TestCase):
    def setUp(self):
        super().setUp()
        libvirt = types.SimpleNamespace(
            libvirtError=Error,
            VIR_DOMAIN_PAUSED=PAUSED,
            VIR_ERR_NO_DOMAIN=NO_DOMAIN,
            VIR_FROM_REMOTE=13,
            VIR_FROM_RPC=RPC,
        )
        patch = mock.patch.dict(sys.modules, {'libvirt': libvirt})
        patch.start()
        self.addCleanup(patch.stop)
        self.host = mock.Mock()
        self.connection = self.host.get_connection.return_value
        self.domain = self.connection.lookupByUUIDString.return_value
        self.domain.info.return_value = [PAUSED]
        self.hypervisor = qemu_hypervisor.QemuHypervisor(
            self.host,
            types.SimpleNamespace(
                qemu_run_dir='/run/x', measure_timeout=LIMIT
            ),
        )

    def test_libvirt_that_hangs(self):
        hang = self.useFixture(test_bounded_calls.Hang())
        handle = mock.Mock(
            uuid='a',
            pause=hang.read,
            poweroff=hang.read,
            get_power_state=lambda host: hang.read(),
            get_xml_desc=hang.read,
        )
        self.host.list_guests = lambda only_running: hang.read()
        self.domain.destroy = hang.read
        for method, argument in (
            ('pause', handle),
            ('power_off', handle),
            ('is_paused', handle),
            ('definition', handle),
            ('power_off_paused', 'b'),
        ):
            self.assertRaises(
                TimeoutError, getattr(self.hypervisor, method), argument
            )
        self.assertRaises(TimeoutError, self.hypervisor.running)
        # Other guests can still be paused and powered off.
        self.hypervisor.pause(mock.Mock(uuid='c'))

    def test_power_off_paused(self):
        self.assertTrue(self.hypervisor.power_off_paused('a'))
        self.domain.destroy.assert_called_once_with()

    def test_one_that_runs_is_not_powered_off(self):
        self.domain.info.return_value = [RUNNING]
        self.assertFalse(self.hypervisor.power_off_paused('a'))
        self.domain.destroy.assert_not_called()

    def test_one_that_does_not_exist(self):
        self.connection.lookupByUUIDString.side_effect = Error(NO_DOMAIN)
        self.assertFalse(self.hypervisor.power_off_paused('a'))

    def test_to_be_tried_again(self):
        self.domain.destroy.side_effect = Error()
        self.assertRaises(Error, self.hypervisor.power_off_paused, 'a')
        self.host.get_connection.side_effect = OSError('unreachable')
        self.assertRaises(OSError, self.hypervisor.power_off_paused, 'a')

    def test_may_have_started(self):
        for error, expected in (
            (Error(domain=RPC), True),
            (Error(domain=13), True),
            (Error(domain=QEMU), False),
            (ValueError('no'), False),
        ):
            self.assertEqual(expected, self.hypervisor.may_have_started(error))

    def test_power_off(self):
        handle = mock.Mock()
        handle.is_active.return_value = False
        self.hypervisor.power_off(handle)
        handle.poweroff.assert_not_called()
        handle.is_active.return_value = True
        self.hypervisor.power_off(handle)
        handle.poweroff.assert_called_once_with()

    def test_is_paused(self):
        handle = mock.Mock()
        for state, expected in (
            (power_state.PAUSED, True),
            (power_state.RUNNING, False),
        ):
            handle.get_power_state.return_value = state
            self.assertEqual(expected, self.hypervisor.is_paused(handle))
        handle.get_power_state.assert_called_with(self.host)

    def test_guest(self):
        handle = mock.Mock()
        handle._domain.UUIDString.return_value = 'a'
        shared = self.hypervisor.shared()
        self.assertIsInstance(shared, process_labels.ProcessLabels)
        guest = self.hypervisor.guest(handle, shared)
        self.assertIsInstance(guest, running_guest.RunningGuest)
        self.assertEqual('a', guest.uuid)
