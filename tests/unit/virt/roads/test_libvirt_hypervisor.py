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

from nova_isolation.host import process_labels
from nova_isolation.host import running_guest
from nova_isolation.virt.guard import hypervisor
from nova_isolation.virt.roads import qemu_hypervisor
from tests.unit import base
from tests.unit.host import test_bounded_calls

NO_DOMAIN, BUSY, NO_METADATA = 42, 1, 80
LIVE, CONFIG, ELEMENT = 1, 2, 2
RPC, QEMU = 7, 10
HOOK = 70
RUNNING, PAUSED, SHUTOFF, PMSUSPENDED = 1, 3, 5, 7


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
            VIR_DOMAIN_AFFECT_CONFIG=CONFIG,
            VIR_DOMAIN_AFFECT_LIVE=LIVE,
            VIR_DOMAIN_METADATA_ELEMENT=ELEMENT,
            VIR_DOMAIN_PAUSED=PAUSED,
            VIR_DOMAIN_PAUSED_USER=1,
            VIR_DOMAIN_SHUTOFF=SHUTOFF,
            VIR_DOMAIN_PAUSED_MIGRATION=2,
            VIR_ERR_NO_DOMAIN_METADATA=NO_METADATA,
            VIR_ERR_NO_DOMAIN=NO_DOMAIN,
            VIR_ERR_HOOK_SCRIPT_FAILED=HOOK,
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
                qemu_run_dir='/run/x',
                process_root='/proc',
                measure_timeout=LIMIT,
            ),
        )

    def test_arrival(self):
        handle = mock.Mock(uuid='a')
        with mock.patch.object(
            running_guest.RunningGuest, 'boot', return_value='run'
        ) as boot:
            for state, reason, wanted in (
                (PAUSED, 2, hypervisor.Arrival('run', complete=False)),
                (PAUSED, 1, hypervisor.Arrival('run', complete=True)),
                # After an I/O error, and what runs.
                (PAUSED, 5, None),
                (RUNNING, 1, None),
                (RUNNING, 2, None),
                (SHUTOFF, 1, None),
            ):
                handle._domain.state.return_value = [state, reason]
                self.assertEqual(wanted, self.hypervisor.arrival(handle))
                boot.reset_mock()
                self.assertIs(
                    wanted is not None and wanted.complete,
                    self.hypervisor.has_arrived(handle),
                )
                boot.assert_not_called()
            handle._domain.state.return_value = [PAUSED, 1]
            boot.side_effect = OSError
            self.assertRaises(OSError, self.hypervisor.arrival, handle)

    def test_libvirt_that_hangs(self):
        hang = self.useFixture(test_bounded_calls.Hang())
        handle = mock.Mock(
            uuid='a',
            pause=hang.read,
            poweroff=hang.read,
            get_xml_desc=hang.read,
        )
        self.host.list_guests = lambda only_running: hang.read()
        self.domain.destroy = hang.read
        self.domain.ID = hang.read
        for method, argument in (
            ('pause', handle),
            ('power_off', handle),
            ('run', handle),
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

    def test_hook(self):
        ours, other = Error(HOOK), Error(HOOK)
        ours.__class__.__str__ = lambda error: getattr(error, 'text', '')
        self.addCleanup(delattr, Error, '__str__')
        ours.text = (
            'Hook script execution failed: internal error: Child process '
            '(/etc/libvirt/hooks/qemu) unexpected exit status 1: '
            'nova-isolation does not let the guest instance-1 start:'
        )
        other.text = 'Hook script execution failed: no'
        busy = Error()
        busy.text = ours.text
        for error, expected in (
            (ours, True),
            (other, False),
            (busy, False),
            (ValueError(ours.text), False),
        ):
            self.assertEqual(expected, self.hypervisor.is_hook(error))

    def test_power_off(self):
        handle = mock.Mock()
        handle.is_active.return_value = False
        self.hypervisor.power_off(handle)
        handle.poweroff.assert_not_called()
        handle.is_active.return_value = True
        self.hypervisor.power_off(handle)
        handle.poweroff.assert_called_once_with()

    def test_run(self):
        handle = mock.Mock(uuid='a')
        for number, state, expected in (
            (7, RUNNING, hypervisor.Run(7, True)),
            (8, PAUSED, hypervisor.Run(8, False)),
            # Asleep, and a key of its keyboard wakes it.
            (9, PMSUSPENDED, hypervisor.Run(9, True)),
            (-1, SHUTOFF, None),
            # Of Xen: it has ended, and is kept.
            (10, SHUTOFF, None),
        ):
            self.domain.ID.return_value = number
            self.domain.info.return_value = [state]
            self.assertEqual(expected, self.hypervisor.run(handle))
        lookup = self.host.get_connection().lookupByUUIDString
        lookup.assert_called_with('a')
        lookup.side_effect = Error(NO_DOMAIN)
        self.assertIsNone(self.hypervisor.run(handle))
        lookup.side_effect = Error()
        self.assertRaises(Error, self.hypervisor.run, handle)

    def test_run_that_a_start_has_begun(self):
        handle = mock.Mock(uuid='a', id=7)
        self.assertEqual(7, self.hypervisor.started_run(handle))
        # The start has not told.
        handle.id = -1
        self.assertIsNone(self.hypervisor.started_run(handle))
        self.host.get_connection.assert_not_called()

    def test_end_of_a_start_asks_a_guest_that_runs_once(self):
        handle = mock.Mock(uuid='a')
        self.hypervisor.end_start(handle)
        handle._domain.setMetadata.assert_called_once_with(
            ELEMENT, None, mock.ANY, mock.ANY, CONFIG | LIVE
        )
        self.host.get_connection.assert_not_called()

    def test_note_of_a_start(self):
        domain = self.domain
        handle = mock.Mock(uuid='a', _domain=domain)
        self.hypervisor.begin_start(handle)
        (kind, text, key, uri, flags) = domain.setMetadata.call_args.args
        self.assertEqual((ELEMENT, CONFIG), (kind, flags))
        self.assertTrue(text)
        for active, live in ((1, LIVE), (0, 0)):
            domain.isActive.return_value = active
            # libvirtd may have been started again since.
            old = mock.Mock(uuid='a')
            old._domain.setMetadata.side_effect = Error(domain=RPC)
            self.hypervisor.end_start(old)
            domain.setMetadata.assert_called_with(
                kind, None, key, uri, CONFIG | live
            )
        self.assertTrue(self.hypervisor.is_starting(handle))
        domain.metadata.assert_called_with(kind, uri, flags)
        domain.metadata.side_effect = Error(NO_METADATA)
        self.assertFalse(self.hypervisor.is_starting(handle))
        domain.metadata.side_effect = Error()
        self.assertRaises(Error, self.hypervisor.is_starting, handle)
        # It has arrived from another host.
        domain.isPersistent.return_value = 0
        self.assertFalse(self.hypervisor.is_starting(handle))
        lookup = self.connection.lookupByUUIDString
        lookup.side_effect = Error(NO_DOMAIN)
        self.assertFalse(self.hypervisor.is_starting(handle))
        lookup.side_effect = Error(domain=RPC)
        self.assertRaises(Error, self.hypervisor.is_starting, handle)

    def test_no_note_stays_after_a_late_power_off(self):
        for error in (None, Error()):
            self.domain.setMetadata.side_effect = error
            self.assertTrue(self.hypervisor.power_off_paused('a'))
            self.domain.setMetadata.assert_called_once_with(
                ELEMENT, None, mock.ANY, mock.ANY, CONFIG
            )
            self.domain.setMetadata.reset_mock()

    def test_guest(self):
        handle = mock.Mock()
        handle._domain.UUIDString.return_value = 'a'
        shared = self.hypervisor.shared()
        self.assertIsInstance(shared, process_labels.ProcessLabels)
        guest = self.hypervisor.guest(handle, shared)
        self.assertIsInstance(guest, running_guest.RunningGuest)
        self.assertEqual('a', guest.uuid)

    def test_later_look_at_the_labels(self):
        first = self.hypervisor.shared()
        first._labels = {('b', 1): 'label'}
        second = self.hypervisor.shared(first)
        self.assertIsNot(first, second)
        self.assertEqual({('b', 1): 'label'}, second._labels)
