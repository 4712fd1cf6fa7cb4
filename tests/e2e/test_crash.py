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

"""Daemons that die or hang between the paused start and the verification.

A guest that was not verified never executes an instruction.
"""

from collections.abc import Iterator
import contextlib
from typing import Any

from lab.daemons import nova
from lab.run import marks
from nova_isolation.model import reasons
from nova_isolation.virt import exception
from tests.e2e import base
from tests.e2e import paused_start

_SPECS = {'isolation:qemu_sandbox': 'true'}
_COMPUTE = nova.compute_name(base.HARDENED)


class TestCase(base.TestCase):
    """A test with a guest that is started on cpu-hardened, unverified."""

    def setUp(self) -> None:
        super().setUp()
        self.host = self.cloud.hosts[base.HARDENED]

    def create(self) -> Any:
        """Ask for a tagged guest, and do not wait for it."""
        flavor = self.flavor(_SPECS)
        server = self.guests.create(flavor.name, flavor.id, host=base.HARDENED)
        self.addCleanup(self.guests.delete, server)
        return server

    @contextlib.contextmanager
    def started(self) -> Iterator[tuple[Any, paused_start.PausedStart]]:
        """Keep a guest started and unverified during the ``with``."""
        server = self.create()
        start = paused_start.PausedStart(
            self.host, self.cloud.supervisor, server
        )
        with start.lasting():
            self.assertEqual('prelaunch', start.emulator_state)
            yield server, start

    def assertNeverRan(self, start: paused_start.PausedStart) -> None:
        self.assertNotIn(marks.GUEST_UP, start.console())

    def wait(self, what: str, test: Any, seconds: float = 300) -> None:
        self.cloud.supervisor.wait(what, test, seconds)


class ComputeTest(TestCase):
    """nova-compute is killed (kill -9)."""

    def kill(self) -> None:
        self.cloud.supervisor.kill(_COMPUTE)

    def test_unverified_guest_is_powered_off(self) -> None:
        with self.started() as (server, start):
            self.kill()
            self.assertEqual('prelaunch', start.emulator_state)
            # libvirt's reason does not tell it from one that was suspended.
            state = self.virsh('domstate', '--reason', server.id)
            self.assertEqual('paused (user)', state.strip())
        self.cloud.restart(_COMPUTE)
        self.wait('power off', lambda: start.domain_state == 'shut off')
        self.assertFalse(start.emulator_runs)
        self.assertNeverRan(start)
        server = self.guests.wait_status(server, ('ERROR',))
        server = self.guests.wait_fault(
            server, reasons.VERIFY_INTERRUPTED.code
        )
        self.assertEvent(server, 'isolation_verify', 'Error')

    def test_running_guests_go_on(self) -> None:
        server = self.boot(_SPECS, host=base.HARDENED)
        self.assertActive(server, base.HARDENED)
        pid = self.guests.qemu_pid(server)
        suspended = self.boot(_SPECS, host=base.HARDENED)
        self.assertActive(suspended, base.HARDENED)
        self.virsh('suspend', suspended.id)
        self.kill()
        self.cloud.restart(_COMPUTE)
        printed = self.ticks(server)
        self.assertEqual(pid, self.guests.qemu_pid(server))
        self.wait('more output', lambda: self.ticks(server) > printed)
        server = self.api.compute.get_server(server.id)
        self.assertEqual('ACTIVE', server.status)
        # An operator has paused the other one: it is his to resume.
        state = self.virsh('domstate', '--reason', suspended.id)
        self.assertEqual('paused (user)', state.strip())
        self.virsh('resume', suspended.id)
        self.assertActive(
            self.api.compute.get_server(suspended.id), base.HARDENED
        )

    def virsh(self, *arguments: str) -> str:
        """What virsh prints on the host."""
        return self.host.virsh(self.cloud.supervisor, *arguments)

    def ticks(self, server: Any) -> int:
        """How often the guest has printed the time."""
        folder = self.instance_folder(base.HARDENED, server)
        return (folder / 'console.log').read_text('utf-8').count('TICK')


class LibvirtdTest(TestCase):
    """libvirtd dies or hangs, and is restarted."""

    def setUp(self) -> None:
        super().setUp()
        self.libvirtd = self.cloud.supervisor.daemons()[self.host.daemon]
        self.addCleanup(self.revive)
        #: Lets a stopped libvirtd continue when it is closed.
        self.go_on = contextlib.ExitStack()
        self.addCleanup(self.go_on.close)

    def hang(self) -> None:
        self.go_on.enter_context(paused_start.stopped(self.libvirtd))

    def kill(self) -> None:
        self.cloud.supervisor.kill(self.host.daemon)

    def revive(self) -> None:
        """Start libvirtd if it is dead, and wait until Nova uses the host."""
        if self.host.daemon not in self.cloud.supervisor.daemons():
            self.host.start(self.cloud.supervisor)
            self.wait('Nova', lambda: self.service().status == 'enabled', 400)

    def service(self) -> Any:
        """The compute service of cpu-hardened in the API."""
        (service,) = self.api.compute.services(
            binary='nova-compute', host=base.HARDENED
        )
        return service

    def assertVerificationHangs(
        self, server: Any, start: paused_start.PausedStart
    ) -> None:
        # nova-compute as a whole must not hang: it still reports its state.
        seen = self.service().updated_at
        self.wait('life', lambda: self.service().updated_at > seen)
        server = self.api.compute.get_server(server.id)
        self.assertEqual('spawning', server.task_state)
        self.assertNeverRan(start)

    def assertPoweredOff(self, start: paused_start.PausedStart) -> None:
        """Nova gave up; the guest is ended when libvirtd runs again."""
        self.assertTrue(start.emulator_runs)
        self.revive()
        self.wait('power off', lambda: not start.emulator_runs)
        self.assertActive(self.boot(_SPECS), base.HARDENED)

    def test_dies_before_it_has_answered_the_start(self) -> None:
        with self.started() as (server, start):
            self.kill()
        self.guests.wait_status(server, ('ERROR',))
        self.assertPoweredOff(start)

    def test_dies_during_the_verification(self) -> None:
        with self.started() as (server, start):
            self.hang()
        self.assertVerificationHangs(server, start)
        self.kill()
        server = self.guests.wait_status(server, ('ERROR',))
        self.guests.wait_fault(server, exception.GuestRefused.MARK)
        self.assertPoweredOff(start)

    def test_hangs_for_a_while(self) -> None:
        with self.started() as (server, start):
            self.hang()
        self.assertVerificationHangs(server, start)
        self.go_on.close()
        server = self.guests.wait_status(server, ('ACTIVE', 'ERROR'))
        self.assertActive(server, base.HARDENED)
        self.assertEvent(server, 'isolation_verify', 'Success')


class TwoAtOnceTest(TestCase):
    """libvirt needs long for one guest of a host."""

    def test_the_other_does_not_wait(self) -> None:
        slow = self.create()
        start = paused_start.PausedStart(
            self.host, self.cloud.supervisor, slow
        )
        # libvirt waits for a QEMU process that is stopped.
        with start.emulator_stopped():
            other = self.guests.wait_status(self.create(), ('ACTIVE', 'ERROR'))
            self.assertEqual('ACTIVE', other.status, other.fault)
            slow = self.api.compute.get_server(slow.id)
            self.assertEqual('spawning', slow.task_state)
        slow = self.guests.wait_status(slow, ('ACTIVE', 'ERROR'))
        for server in (slow, other):
            self.assertActive(server, base.HARDENED)
            self.assertEvent(server, 'isolation_verify', 'Success')
