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

"""A host with Xen whose daemons fail at the worst moment, for real.

A guest that was not verified never executes an instruction. What garbled
answers of the hypervisor and of xenstore do is tested with fakes
(tests/unit/probes/xen, tests/functional/xen/test_faults.py): the real ones do
not give any. This project reads no output of ``xl``.
"""

from collections.abc import Iterator
import contextlib
import re
import time
from typing import Any

from lab.daemons import nova
from lab.guests import xen_specs
from lab.guests import xen_virsh
from lab.machine import recipe as machine
from lab.xen import recipe
from nova_isolation.mechanisms.xsm import reason_codes as xsm_reasons
from nova_isolation.model import reasons
from tests.e2e import xen
from tests.e2e import xen_at_start
from tests.e2e import xen_hypervisor

_COMPUTE = nova.compute_name(xen.HOST)
_SECONDS = 900
#: A boolean of Xen's own policy, about which no guest of the lab cares.
_BOOLEAN = 'prot_doms_locked'


class FaultTestCase(xen.TestCase):
    """A test beside a guest that runs and goes on to run."""

    def setUp(self) -> None:
        super().setUp()
        self.running = self.shared()
        self.hypervisor = xen_hypervisor.Hypervisor(self.ssh)
        self.at_start = xen_at_start.AtStart(self.cloud.supervisor, self.ssh)
        before = self.hypervisor.domain(self.running.id)
        assert before is not None
        self.number = before.number
        self.addCleanup(self.assertRunsOn)

    def assertRunsOn(self) -> None:
        """The guest is the same domain, and executes."""
        found = [self.hypervisor.domain(self.running.id)]
        time.sleep(6)
        found.append(self.hypervisor.domain(self.running.id))
        first, last = found
        assert first is not None and last is not None
        self.assertEqual([self.number] * 2, [first.number, last.number])
        self.assertLess(first.time, last.time)
        server = self.api.compute.get_server(self.running.id)
        self.assertEqual('ACTIVE', server.status, server.fault)

    def assertNeverRan(self, server: Any) -> None:
        """The guest is paused, and has not executed at all."""
        found = self.hypervisor.domain(server.id)
        assert found is not None
        self.assertTrue(found.paused)
        self.assertEqual(0, found.time)
        self.assertFalse(self.at_start.ran)

    def wait(self, what: str, test: Any) -> None:
        self.cloud.supervisor.wait(what, test, _SECONDS, every=1)

    def wait_gone(self, server: Any) -> None:
        """Wait until the hypervisor no longer has a guest, which never ran."""

        def gone() -> bool:
            found = self.hypervisor.domain(server.id)
            if found is not None:
                self.assertEqual(0, found.time)
            return found is None

        self.wait('the end of the guest', gone)
        self.assertFalse(self.at_start.ran)

    def create(self) -> Any:
        """Ask for a guest with each requirement, and do not wait for it."""
        flavor = self.flavor(xen_specs.ALL)
        server = self.guests.create(flavor.name, flavor.id, host=xen.HOST)
        self.addCleanup(self.guests.delete, server, self.delete_seconds)
        return server

    def main_pid(self, unit: str) -> int:
        """The process of a unit of systemd in dom0."""
        return int(
            self.ssh.check(['systemctl', 'show', '-P', 'MainPID', unit])
        )

    def send(self, signal: str, pid: int) -> None:
        """Send a signal to a process of dom0."""
        self.ssh.check(['kill', f'-{signal}', str(pid)])


class XenstoredTest(FaultTestCase):
    """xenstored does not answer (SIGSTOP)."""

    def test_silent_when_a_guest_was_started(self) -> None:
        pid = int(self.ssh.check(['pgrep', '-x', 'xenstored']))
        before = len(self.reverified(self.running))
        with self.at_start.armed('STOP', pid):
            server = self.create()
            # Before the server is deleted.
            self.addCleanup(self.send, 'CONT', pid)
            self.at_start.wait()
            self.wait(
                'the refusal',
                lambda: (
                    ('isolation_verify', 'Error')
                    in [
                        (one['event'], one['result'])
                        for one in self.guests.events(server)
                    ]
                ),
            )
            self.assertNeverRan(server)
            self.wait_reverified(self.running, 'Error', before)
            self.assertNeverRan(server)
            self.send('CONT', pid)
            self.wait_gone(server)
        server = self.guests.wait_status(server, ('ERROR',), _SECONDS)
        # The host cannot say what its guests are, so it proves nothing. The
        # moment decides whether it finds that of itself or of the guest.
        refused = self.guests.wait_fault(server, 'Isolation refuses the guest')
        self.assertRegex(
            refused.fault['message'],
            '|'.join(
                re.escape(f'[{reason.code}]')
                for reason in (xsm_reasons.UNKNOWN, reasons.VERIFY_FAILED)
            ),
        )
        self.wait_reverified(self.running, 'Success', before)
        # libvirt did not answer Nova either. Then the files are kept, with a
        # warning that asks for this.
        folder = f'{machine.INSTANCES}/{server.id}'
        self.ssh.check(['rm', '--recursive', '--force', folder])


class LibvirtdTest(FaultTestCase):
    """libvirtd dies (kill -9), and systemd starts another one."""

    def test_dies_before_it_has_answered_the_start(self) -> None:
        pid = self.main_pid('libvirtd')
        with self.at_start.armed('KILL', pid):
            server = self.create()
            self.at_start.wait()
            self.guests.wait_status(server, ('ERROR',), _SECONDS)
            self.wait_gone(server)
        self.assertNotIn(self.main_pid('libvirtd'), (0, pid))
        server = self.api.compute.get_server(server.id)
        self.refused_to_start(server)
        self.wait(
            'the compute service to be enabled',
            lambda: self.service().status == 'enabled',
        )
        self.wait_explained(
            self.flavor(xen_specs.ALL), f'{xen.HOST}: accepted'
        )

    def service(self) -> Any:
        """The compute service of the host in the API."""
        (service,) = self.api.compute.services(
            binary='nova-compute', host=xen.HOST
        )
        return service


class ComputeTest(FaultTestCase):
    """nova-compute dies (kill -9), and is started again."""

    def revive(self) -> None:
        """Start nova-compute if it is dead."""
        if _COMPUTE not in self.cloud.supervisor.daemons():
            self.cloud.restart(_COMPUTE)

    def kill(self) -> None:
        """Kill nova-compute, which is no fault of the lab."""
        # This is the ssh client that gets its output.
        self.cloud.supervisor.kill(_COMPUTE)
        self.ssh.check(
            ['systemctl', 'kill', '--signal=KILL', 'nova-compute.service']
        )

    def test_unverified_guest_is_powered_off(self) -> None:
        with self.at_start.armed('STOP', self.main_pid('nova-compute')):
            server = self.create()
            # Before the server is deleted.
            self.addCleanup(self.revive)
            self.at_start.wait()
            self.kill()
            self.assertNeverRan(server)
            self.revive()
            self.wait_gone(server)
        server = self.guests.wait_status(server, ('ERROR',), _SECONDS)
        self.guests.wait_fault(server, reasons.VERIFY_INTERRUPTED.code)
        self.assertEvent(server, 'isolation_verify', 'Error')
        # Nova had made it, so libvirt still knows it and its disk is there.
        state = self.cloud.hosts[xen.HOST].virsh(
            self.cloud.supervisor, 'domstate', server.id
        )
        self.assertEqual('shut off', state.strip())
        # What the new nova-compute starts is verified and runs.
        flavor = self.flavor(xen_specs.ALL)
        self.wait_explained(flavor, f'{xen.HOST}: accepted')
        self.assertActive(self.boot_flavor(flavor, host=xen.HOST), xen.HOST)


class ReplacedTest(FaultTestCase):
    """Somebody puts another domain in the place of a guest of Nova's."""

    def setUp(self) -> None:
        super().setUp()
        self.server = self.boot(xen_specs.ALL, host=xen.HOST)
        self.assertActive(self.server, xen.HOST)

    def reboot(self) -> None:
        """Have Nova start the guest anew, verified."""
        before = self.verified(self.server)
        self.api.compute.reboot_server(self.server, 'HARD')
        self.server = self.guests.wait_status(
            self.server, ('ACTIVE', 'ERROR'), self.boot_seconds
        )
        self.assertEqual('ACTIVE', self.server.status, self.server.fault)
        self.assertEqual(xen.label(), self.domain(self.server).label)
        self.wait(
            'the verification',
            lambda: self.verified(self.server) == [*before, 'Success'],
        )

    def test_reported(self) -> None:
        with self.subTest('another domain has its number'):
            self.reported(self.reuse_number)
        with self.subTest('another domain has its name and its UUID'):
            self.reported(self.reuse_name)

    def reported(self, replace: Any) -> None:
        """Replace the guest, see that reported, and mend it."""
        before = len(self.reverified(self.server))
        replace()
        self.wait_reverified(self.server, 'Error', before)
        self.assertNotIn('Success', self.reverified(self.server)[before:])
        self.reboot()

    def reuse_number(self) -> None:
        """Give its number to a domain that libvirt takes for the guest."""
        number = self.domain(self.server).number
        pid = self.main_pid('libvirtd')
        self.send('STOP', pid)
        try:
            self.ssh.check(['xl', 'destroy', str(number)])
            self.hypervisor.create(number, xen.label('domU_t'))
        finally:
            self.send('CONT', pid)
        self.addCleanup(self.destroy, number)
        found = self.cloud.hosts[xen.HOST].virsh(
            self.cloud.supervisor, 'domid', self.server.instance_name
        )
        self.assertEqual(number, int(found))
        self.assertIsNone(self.hypervisor.domain(self.server.id))

    def destroy(self, number: int) -> None:
        """Destroy the other domain, if it is still there."""
        with contextlib.suppress(Exception):
            self.hypervisor.destroy(number)

    def reuse_name(self) -> None:
        """Have virsh start another guest of its name, with another label."""
        name = self.server.instance_name
        other = xen_virsh.replace(
            self.cloud.supervisor,
            self.ssh,
            name,
            self.server.id,
            'domU_t',
        )
        self.assertEqual(xen.label('domU_t'), other.label)


class PolicyTest(FaultTestCase):
    """The policy changes all the time: it is never what was measured."""

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Switch a boolean of the policy during the body of the ``with``."""
        program = recipe.PROGRAMS / 'flask-set-bool'
        unit = 'lab-changes-policy'
        self.ssh.check(
            [
                'systemd-run',
                '--quiet',
                '--collect',
                f'--unit={unit}',
                'sh',
                '-c',
                f'while :; do for value in 1 0; do {program} {_BOOLEAN} '
                '$value; sleep 0.3; done; done',
            ]
        )
        try:
            yield
        finally:
            self.ssh.check(['systemctl', 'stop', unit])
            self.ssh.check([program, _BOOLEAN, '0'])

    def test_nothing_is_verified_until_it_stays(self) -> None:
        before = len(self.reverified(self.running))
        flavor = self.flavor(xen_specs.ALL)
        with self.changing():
            server = self.boot_flavor(flavor, host=xen.HOST)
            self.refused_to_start(server)
            self.assertNotIn('Success', self.verified(server))
            self.wait_reverified(self.running, 'Error', before)
            self.wait_explained(flavor, 'isolation.xsm.unknown')
        # Both are measured anew against the policy of now.
        self.wait_reverified(self.running, 'Success', before)
        self.wait_explained(flavor, f'{xen.HOST}: accepted')
        server = self.boot_flavor(flavor, host=xen.HOST)
        self.assertActive(server, xen.HOST)
        self.assertEvent(server, 'isolation_verify', 'Success')
