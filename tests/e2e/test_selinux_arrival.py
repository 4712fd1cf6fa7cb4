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

"""A guest that SELinux confines is sent to another host, and resumed there.

Two machines with SELinux send guests to each other (lab.machine.lan).
"""

import dataclasses
import functools
import re
from typing import Any
from typing import ClassVar
from typing import Literal

from lab.cloud import cloud as clouds
from lab.config import host_specs
from lab.config import ini
from nova_isolation.mechanisms.svirt import security_label
from tests.e2e import arrivals
from tests.e2e import base
from tests.e2e import machines

_SOURCE, _DESTINATION = machines.SELINUX, 'cpu-selinux-2'
#: A paused guest has used less of the processor than this, in seconds.
_PAUSED_SECONDS = 1.0
_SPECS = {
    'isolation:svirt': 'selinux',
    'isolation:svirt_type': 'svirt_t',
    'isolation:qemu_sandbox': 'true',
}


def _spec(name: str, lan: Literal[1, 2]) -> host_specs.HostSpec:
    known = host_specs.KNOWN[machines.SELINUX]
    return dataclasses.replace(
        known,
        name=name,
        lan=lan,
        isolation=ini.merge(
            known.isolation, {'isolation': {'resume_at_arrival': 'True'}}
        ),
    )


@functools.cache
def cloud() -> clouds.Cloud:
    """The cloud with both machines, for this test run."""
    return base.start_cloud(
        'e2e-selinux-arrival',
        [_spec(_SOURCE, 1), _spec(_DESTINATION, 2)],
        'LAB_SELINUX_ARRIVAL_STATE',
    )


class ArrivalTest(arrivals.TestCase):
    """The guest has a label, and its QEMU a sandbox, on both hosts."""

    SOURCE: ClassVar = _SOURCE
    DESTINATION: ClassVar = _DESTINATION

    # The machines are emulated, and emulate the guests.
    boot_seconds = 1800.0
    delete_seconds = 900.0
    explain_seconds = 900.0
    migration_seconds = 1800.0
    copy_seconds = 1800.0

    @classmethod
    def use_cloud(cls) -> clouds.Cloud:
        """The cloud with the machines."""
        return cloud()

    def boot_here(self, specs: dict[str, str]) -> Any:
        """See the base class; the guest's kernel prints after minutes only."""
        server = self.boot(specs, host=self.SOURCE)
        self.assertEqual('ACTIVE', server.status, server.fault)
        self.assertEqual(self.SOURCE, server.compute_host)
        self.pid = self.guests.qemu_pid(server)
        self.wait_ticks(self.SOURCE, server)
        return server

    def ticks(self, host: str, server: Any) -> list[float]:
        """What the guest has used of a host's processor, once it has run.

        :returns: seconds; nothing if it is what a paused guest uses, too
        """
        found = self.virsh(host, 'domstats', '--vcpu', str(server.id))
        # libvirt does not say it of a guest whose memory is copied.
        used = re.findall(r'vcpu\.0\.time=(\d+)', found)
        seconds = [int(one) / 1e9 for one in used]
        return [one for one in seconds if one > _PAUSED_SECONDS]

    def on(self, host: str, *command: str) -> str:
        """Run a command on a machine, which has to succeed.

        :returns: what the command printed
        """
        result = self.cloud.hosts[host].run(self.cloud.supervisor, command)
        self.assertEqual(0, result.returncode, result.stderr)
        return result.stdout.strip()

    def label(self, host: str) -> str:
        """The label of the only QEMU on a machine, as the kernel has it."""
        return self.on(host, 'ps', '-C', 'qemu-system-x86', '-o', 'label:99=')

    def test_resumed_at_arrival(self) -> None:
        server = self.copying(_SPECS)
        # The label is that of the destination while the memory is copied.
        sent, here = self.label(_SOURCE), self.label(_DESTINATION)
        self.assertNotEqual(sent, here)
        self.assertEqual([], self.ticks(_DESTINATION, server))
        self.speed(server, arrivals.FAST)
        self.assertRuns(server, at_arrival=True)
        self.assertEqual('Enforcing', self.on(_DESTINATION, 'getenforce'))
        self.assertEqual(here, self.label(_DESTINATION))
        label = security_label.parse(here)
        self.assertEqual('svirt_t', label.type)
        self.assertEqual(2, len(label.categories))
        self.wait_ticks(_DESTINATION, server)

    def test_permissive_while_the_memory_is_copied(self) -> None:
        server = self.copying(_SPECS)
        self.addCleanup(self.on, _DESTINATION, 'setenforce', '1')
        self.on(_DESTINATION, 'setenforce', '0')
        self.speed(server, arrivals.FAST)
        self.assertRefused(server, 'isolation.svirt.not_enforcing')
