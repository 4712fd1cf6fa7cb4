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

"""Tests of nova_isolation.host.xen_host, xen_guest and xen_processes.

The processes are real, with command lines and names like those of Xen's.
"""

import json
import os
import subprocess
import time
import types
from unittest import mock

import fixtures

from nova_isolation.host import privileged
from nova_isolation.host import procfs
from nova_isolation.host import qemu_process
from nova_isolation.host import xen_guest
from nova_isolation.host import xen_host
from nova_isolation.host import xen_processes
from nova_isolation.model import reasons
from nova_isolation.model import sight
from nova_isolation.probes.xen import answers
from nova_isolation.probes.xen import process
from nova_isolation.probes.xen import wire
from tests.unit import base
from tests.unit.probes.xen import recorded

OPTIONS = types.SimpleNamespace(probe_timeout=60.0, process_root='/proc')


class Folder(base.TestCase):
    """A folder that is like /proc."""

    def setUp(self):
        super().setUp()
        self.proc = self.useFixture(fixtures.TempDir()).path
        self.write('sys/kernel/random/boot_id', 'a1\n')
        # What is neither a process nor of Xen.
        self.write('meminfo', '')
        self.process(1, 'systemd', '/sbin/init')
        self.process(4, 'xenbus', '')
        self.process(9, 'bash', 'bash\0-c\0xenstored')

    def write(self, path, text):
        path = os.path.join(self.proc, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='ascii') as file:
            file.write(text)

    def process(self, pid, name, arguments, type_='some_t'):
        self.write(f'{pid}/comm', f'{name}\n')
        self.write(f'{pid}/cmdline', arguments)
        label = f'system_u:system_r:{type_}:s0'
        self.write(f'{pid}/attr/current', f'{label}\0')

    def tools(self):
        self.process(20, 'libvirtd', '/usr/sbin/libvirtd\0', 'virtd_t')
        self.process(21, 'oxenstored', '/usr/sbin/oxenstored\0', 'initrc_t')
        self.process(22, 'xenconsoled', 'xenconsoled\0', 'xenconsoled_t')

    def model(self, pid, number, type_='xendm_t'):
        self.process(
            pid, 'any-name', f'qemu\0-xen-domid\0{number}\0-x\0', type_
        )


class ProcessesTest(Folder):
    """The processes that belong to Xen's tools."""

    def seen(self):
        """The processes that are found, without this one."""
        return sorted(
            one.pid
            for one in xen_processes.find(self.proc)
            if one.pid != os.getpid()
        )

    def test_all(self):
        self.tools()
        self.model(30, 7)
        found = {one.pid: one for one in xen_processes.find(self.proc)}
        self.assertEqual({20, 21, 22, 30, os.getpid()}, set(found))
        self.assertEqual(
            answers.Process(
                'xenstored', 'system_u:system_r:initrc_t:s0', None, 21
            ),
            found[21],
        )
        self.assertEqual(
            ('device model', 7), (found[30].name, found[30].domain)
        )

    def test_kernel_thread_of_that_name(self):
        self.tools()
        self.process(31, 'xenconsoled', '')
        self.assertEqual([20, 21, 22], self.seen())

    def test_where_libvirt_is_not_seen(self):
        # A container, or a libvirt that has stopped.
        self.model(30, 7)
        error = self.assertRaises(sight.Unseen, xen_processes.find, self.proc)
        self.assertEqual(reasons.LIBVIRT_UNSEEN, error.reason)

    def test_where_proc_hides_processes(self):
        self.tools()
        with (
            mock.patch.object(procfs, 'hides', return_value=True),
            mock.patch.object(os, 'geteuid', return_value=1),
        ):
            error = self.assertRaises(
                sight.Unseen, xen_processes.find, self.proc
            )
        self.assertEqual(reasons.HIDEPID, error.reason)

    def test_device_model_without_a_number(self):
        self.tools()
        for number in ('', 'x', '7x', '-1', ' 7'):
            self.model(30, number)
            self.assertRaises(ValueError, xen_processes.find, self.proc)

    def test_process_that_ends_meanwhile(self):
        self.tools()
        os.mkdir(os.path.join(self.proc, '99'))
        self.assertEqual([20, 21, 22], self.seen())

    def test_nova_compute_is_this_process(self):
        self.tools()
        # Another with that name, and with a number that is ours elsewhere.
        self.process(40, 'nova-compute', 'python\0nova-compute\0')
        self.process(os.getpid(), 'bash', 'bash\0')
        real = privileged.read_process

        def read(pid, name, proc='/proc'):
            if (pid, name, proc) == (os.getpid(), 'attr/current', '/proc'):
                return 'system_u:system_r:nova_compute_t:s0\0'
            return real(pid, name, proc)

        with mock.patch.object(privileged, 'read_process', read):
            found = xen_processes.find(self.proc)
        self.assertEqual(
            [
                answers.Process(
                    'nova-compute',
                    'system_u:system_r:nova_compute_t:s0',
                    None,
                    os.getpid(),
                )
            ],
            [one for one in found if one.name == 'nova-compute'],
        )

    def test_helpers_of_nova_compute(self):
        self.tools()
        program = 'sudo\0nova-rootwrap\0privsep-helper'
        for pid, context in (
            (50, '\0--privsep_context\0nova.privsep.sys_admin_pctxt\0--x\0'),
            (51, '\0--privsep_context\0nova_isolation.host\0'),
            # Of another service, and nobody's.
            (52, '\0--privsep_context\0neutron.privileged.default\0'),
            (53, '\0--privsep_context\0novas.privsep\0'),
            (54, '\0--privsep_context'),
            (55, '\0nova.privsep.sys_admin_pctxt\0'),
        ):
            self.process(pid, 'sudo', program + context, 'helper_t')
        found = xen_processes.find(self.proc)
        self.assertEqual(
            {
                50: 'system_u:system_r:helper_t:s0',
                51: 'system_u:system_r:helper_t:s0',
            },
            {
                one.pid: one.label
                for one in found
                if one.name == 'helper of nova-compute'
            },
        )
        self.assertEqual([20, 21, 22, 50, 51], self.seen())

    def test_real_process(self):
        running = subprocess.Popen(
            ['sleep', '600'],
            executable='/bin/sleep',
        )
        self.addCleanup(running.wait)
        self.addCleanup(running.kill)
        real = xen_processes._processes('/proc')
        self.assertNotIn(running.pid, [one.pid for one in real])
        names = {'sleep': 'xenstored'}
        found = []
        end = time.monotonic() + 20
        # The kernel lets Popen return a moment before it names the process.
        while not found and time.monotonic() < end:
            with mock.patch.dict(xen_processes.NAMES, names):
                found = [
                    one
                    for one in xen_processes._processes('/proc')
                    if one.pid == running.pid
                ]
        self.assertEqual(['xenstored'], [one.name for one in found])


class HostTest(base.TestCase):
    """Who asks, and what becomes of the answer."""

    def setUp(self):
        super().setUp()
        self.host = xen_host.XenHost(OPTIONS)
        self.question = answers.Question()
        changed = {**recorded.ANSWER, 'labels': [], 'accesses': []}
        self.text = json.dumps(changed)
        self.denied = json.dumps({'error': [13, 'xc_interface_open']})

    def ask(self, *texts):
        with (
            mock.patch.object(process, 'run', side_effect=texts) as run,
            mock.patch.object(privileged.context, 'client_mode', False),
        ):
            try:
                return self.host.ask(self.question)
            finally:
                self.asked = run.call_args_list

    def test_host_without_xen(self):
        self.assertRaises(FileNotFoundError, self.host.ask, self.question)

    def test_root(self):
        self.assertEqual('4.17', self.ask(self.text).hypervisor.version)
        self.assertEqual(1, len(self.asked))

    def test_another_user_asks_through_the_helper(self):
        found = self.ask(self.denied, self.text)
        self.assertEqual('4.17', found.hypervisor.version)
        self.assertEqual(2, len(self.asked))
        self.assertRaises(PermissionError, self.ask, self.denied, self.denied)

    def test_what_the_helper_takes(self):
        with mock.patch.object(privileged.context, 'client_mode', False):
            for question, seconds in (
                ('', 1.0),
                ('{}', 1.0),
                ('{"labels": ["x"], "pairs": [], "uuid": 7}', 1.0),
                (wire.dumps(self.question), 0.0),
                (wire.dumps(self.question), 1e9),
                (wire.dumps(self.question), '1'),
            ):
                self.assertRaises(
                    ValueError, xen_host._ask_as_root, question, seconds
                )

    def test_words_of_an_answer_are_printable(self):
        text = json.dumps({'error': [-1, 'a\n\x1b[2Jb']})
        error = self.assertRaises(ValueError, self.ask, text)
        self.assertTrue(str(error).isprintable())


class GuestTest(Folder):
    """A guest of Xen."""

    def setUp(self):
        super().setUp()
        self.tools()
        self.host = xen_host.XenHost(
            types.SimpleNamespace(probe_timeout=60.0, process_root=self.proc)
        )
        self.type = "<type machine='xenpv'>linux</type>"

    def guest(self, uuid=recorded.QEMU, has_model=True, number=3):
        changed = {
            **recorded.ANSWER,
            'labels': [],
            'accesses': [],
            'has_model': has_model,
        }
        self.useFixture(
            fixtures.MockPatchObject(
                process, 'run', return_value=json.dumps(changed)
            )
        )
        domain = mock.Mock()
        domain.UUIDString.return_value = uuid
        domain.name.return_value = 'instance-00000001'
        domain.ID.return_value = number
        domain.XMLDesc.return_value = (
            f"<domain type='xen'><os>{self.type}</os></domain>"
        )
        return xen_guest.XenGuest(domain, self.host, self.proc)

    def test_device_model(self):
        self.model(30, 3)
        self.model(31, 0)
        found = self.guest().process()
        self.assertIsInstance(found, qemu_process.QemuProcess)
        self.assertEqual(30, found.pid)
        self.assertEqual('system_u:system_r:xendm_t:s0', found.label())

    def test_no_device_model(self):
        self.model(31, 0)
        self.assertIsNone(self.guest(has_model=False).process())
        self.type = "<type machine='xenpvh'>xenpvh</type>"
        self.assertIsNone(self.guest(has_model=False).process())

    def test_device_model_that_cannot_be_found(self):
        self.assertRaises(OSError, self.guest().process)
        # Each HVM guest has one.
        self.type = "<type machine='xenfv'>hvm</type>"
        self.assertRaises(OSError, self.guest(has_model=False).process)

    def test_two_device_models(self):
        self.model(30, 3)
        self.model(31, 3)
        self.assertRaises(ValueError, self.guest().process)

    def test_domain_that_xen_has_not(self):
        self.assertRaises(ValueError, self.guest(uuid='none').process)

    def test_boot(self):
        names = {
            self.guest().boot(),
            self.guest(number=4).boot(),
            self.guest(uuid=recorded.PV).boot(),
        }
        self.write('sys/kernel/random/boot_id', 'b2\n')
        names.add(self.guest().boot())
        self.assertEqual(4, len(names))
        self.assertEqual({32}, set(map(len, names)))

    def test_what_libvirt_has_not_for_xen(self):
        guest = self.guest()
        self.assertEqual((recorded.QEMU, 3), (guest.uuid, guest.domain_id()))
        self.assertEqual('instance-00000001', guest.name)
        self.assertRaises(ValueError, guest.security_label)
        self.assertRaises(ValueError, guest.other_process_labels)
