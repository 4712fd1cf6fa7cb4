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

"""Stops time between the start of a guest and its verification."""

from collections.abc import Iterator
import contextlib
import json
import os
import signal
from typing import Any

from lab.daemons import nova
from lab.hosts import namespaced_host
from lab.run import processes
from lab.run import records
from lab.run import supervisor as supervisors


@contextlib.contextmanager
def stopped(daemon: records.Daemon) -> Iterator[None]:
    """Keep a daemon stopped (SIGSTOP) during the body of the ``with``."""
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        if daemon.alive():
            os.kill(daemon.pid, signal.SIGCONT)


class PausedStart:
    """A guest whose nova-compute is stopped while libvirt starts it.

    The process of QEMU exists before libvirt answers that the guest has
    started. A nova-compute that is stopped as soon as the process exists is
    stopped before the verification.

    :ivar compute: the daemon nova-compute
    """

    def __init__(
        self,
        host: namespaced_host.NamespacedHost,
        supervisor: supervisors.Supervisor,
        server: Any,
    ) -> None:
        """:param host: the host on which the guest will be started
        :param supervisor: the supervisor of the cloud
        :param server: the server, which was just created
        """
        self._host = host
        self._supervisor = supervisor
        self._uuid = str(server.id)
        self._pid = 0
        name = nova.compute_name(host.spec.name)
        self.compute = supervisor.daemons()[name]

    @contextlib.contextmanager
    def emulator_stopped(self) -> Iterator[None]:
        """Keep QEMU stopped, so that libvirt cannot finish the start."""
        self._wait_emulator()
        os.kill(self._pid, signal.SIGSTOP)
        try:
            yield
        finally:
            if self.emulator_runs:
                os.kill(self._pid, signal.SIGCONT)

    @contextlib.contextmanager
    def lasting(self) -> Iterator[None]:
        """Keep nova-compute stopped when the guest is started and paused."""
        self._wait_emulator()
        with stopped(self.compute):
            self._supervisor.wait(
                'the start', lambda: self.domain_state == 'paused', 300
            )
            yield

    @property
    def domain_state(self) -> str:
        """The state of the guest as virsh prints it."""
        return self._virsh('domstate').strip()

    @property
    def emulator_state(self) -> str:
        """QEMU's state; ``prelaunch``: no instruction was executed yet."""
        answer = self._virsh(
            'qemu-monitor-command', '{"execute": "query-status"}'
        )
        return str(json.loads(answer)['return']['status'])

    @property
    def emulator_runs(self) -> bool:
        """Whether the process of QEMU exists; its guest may be paused."""
        return self._uuid in processes.command(self._pid)

    def console(self) -> str:
        """What the guest has printed; its folder has to exist."""
        path = self._host.layout.instances / self._uuid / 'console.log'
        return path.read_text(encoding='utf-8', errors='replace')

    def _virsh(self, command: str, *arguments: str) -> str:
        return self._host.virsh(
            self._supervisor, command, self._uuid, *arguments
        )

    def _wait_emulator(self) -> None:
        """Wait for the process of QEMU, faster than nova-compute does."""
        usual = os.getpriority(os.PRIO_PROCESS, 0)
        # Usually this test is fast enough without a higher priority.
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, -20)
        try:
            self._pid = self._supervisor.wait(
                'QEMU', self._find, 300, self.compute, every=0.003
            )
        finally:
            os.setpriority(os.PRIO_PROCESS, 0, usual)

    def _find(self) -> int | None:
        for path in self._host.layout.pids.glob('instance-*.pid'):
            try:
                pid = int(path.read_text(encoding='ascii'))
            except (OSError, ValueError):
                # The file is just being written or removed.
                continue
            if self._uuid in processes.command(pid):
                return pid
        return None
