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

"""Real guests are verified again while they run."""

from collections.abc import Iterable
import json
import shutil
import subprocess
import time
from typing import Any

from lab.cloud import placement
from lab.daemons import nova
from lab.daemons import rabbitmq
from lab.hosts import compute_host
from tests.e2e import base

_DAEMON = nova.compute_name(base.HARDENED)
_TRAIT = 'CUSTOM_ISOLATION_QEMU_PIE'


class WatchTest(base.TestCase):
    """QEMU is replaced while guests run, as by an upgrade."""

    #: Whether another QEMU is mounted over the host's.
    replaced = False

    def watch(self, **isolation: str) -> None:
        """Restart nova-compute of cpu-hardened with these options."""
        self.addCleanup(self.cloud.restart, _DAEMON)
        self.cloud.restart(
            _DAEMON,
            {
                'isolation': {'verify_interval': '1', **isolation},
                'oslo_messaging_notifications': {'driver': 'messagingv2'},
            },
        )
        for priority in ('warn', 'info'):
            self.notifications(priority)

    def replace_emulator(self) -> None:
        """Mount another QEMU over the one that the guests run."""
        copy = self.cloud.layout.data / 'another-qemu'
        if not copy.exists():
            shutil.copy(compute_host.EMULATOR, copy)
        self.on_host('mount', '--bind', str(copy), str(compute_host.EMULATOR))
        self.replaced = True
        self.addCleanup(self.restore_emulator)

    def restore_emulator(self) -> None:
        """Unmount the other QEMU, if it is mounted."""
        if self.replaced:
            # The host may be running it just now, to measure it.
            self.on_host('umount', '--lazy', str(compute_host.EMULATOR))
            self.replaced = False

    def on_host(self, *command: str) -> None:
        """Run a command in the namespaces of cpu-hardened's libvirtd.

        It starts QEMU there, so nova-compute measures the QEMU of there.
        """
        host = self.cloud.hosts[base.HARDENED]
        pid = self.cloud.supervisor.daemons()[host.daemon].pid
        subprocess.run(
            ['nsenter', '-t', str(pid), '-m', *command],
            check=True,
            timeout=180,
        )

    def notifications(self, priority: str) -> list[dict[str, Any]]:
        """The notifications of our topic since the last call."""
        queues = rabbitmq.Queues(self.cloud.supervisor, self.cloud.site)
        return [
            json.loads(json.loads(body)['oslo.message'])
            for body in queues.take(f'isolation_notifications.{priority}')
        ]

    def results(self, server: Any) -> list[str]:
        """The results of the verifications of a running guest."""
        return [
            event['result']
            for event in self.guests.events(server)
            if event['event'] == 'isolation_reverify'
        ]

    def wait_results(self, server: Any, *results: str) -> None:
        """Wait until these are the results."""
        self.cloud.supervisor.wait(
            f'results {results} of {server.name}',
            lambda: tuple(self.results(server)) == results,
            60,
            every=0.3,
        )

    def traits(self) -> Iterable[str]:
        """The traits of cpu-hardened in Placement."""
        return placement.traits(self.api, base.HARDENED)

    def state(self, server: Any) -> str:
        """The state of a guest as virsh prints it."""
        return (
            self.cloud.hosts[base.HARDENED]
            .virsh(self.cloud.supervisor, 'domstate', str(server.id))
            .strip()
        )

    def test_violated_and_mended(self) -> None:
        flavor = self.flavor({'isolation:qemu_hardening': 'pie'})
        server = self.boot_flavor(flavor, host=base.HARDENED)
        untagged = self.boot(host=base.HARDENED)
        self.assertActive(server, base.HARDENED)
        self.watch()
        self.assertIn(_TRAIT, self.traits())

        self.replace_emulator()
        self.wait_results(server, 'Error')
        (told,) = self.notifications('warn')
        self.assertEqual('isolation.violation', told['event_type'])
        payload = told['payload']
        self.assertEqual(server.id, payload['instance_uuid'])
        self.assertEqual(base.HARDENED, payload['host'])
        self.assertEqual(server.project_id, payload['project_id'])
        self.assertEqual(flavor.name, payload['flavor'])
        self.assertEqual('report', payload['action'])
        (unmet,) = payload['unmet']
        self.assertEqual('isolation.qemu.other_binary', unmet['code'])
        self.assertNotIn(_TRAIT, self.traits())
        self.assertNoValidHost(self.boot_flavor(flavor, host=base.HARDENED))
        self.assertExplained(flavor, base.HARDENED, 'isolation.host.violated')
        self.assertEqual('running', self.state(server))
        self.assertEqual([], self.results(untagged))
        # The violation is reported once, though it is found every second.
        self.assertEqual(['Error'], self.results(server))
        self.assertEqual([], self.notifications('warn'))

        self.restore_emulator()
        self.wait_results(server, 'Error', 'Success')
        (told,) = self.notifications('info')
        self.assertEqual('isolation.violation.end', told['event_type'])
        self.assertEqual('mended', told['payload']['why'])
        self.assertIn(_TRAIT, self.traits())
        self.assertActive(
            self.boot_flavor(flavor, host=base.HARDENED), base.HARDENED
        )

    def test_pause(self) -> None:
        server = self.boot({'isolation:qemu_hardening': 'nx'})
        self.assertActive(server, base.HARDENED)
        self.watch(on_violation='pause')
        self.replace_emulator()
        self.guests.wait_status(server, ('PAUSED',))
        self.assertEqual('paused', self.state(server))
        self.restore_emulator()
        self.wait_results(server, 'Error', 'Success')
        self.api.compute.unpause_server(server)
        self.guests.wait_status(server, ('ACTIVE',))
        self.assertEqual('running', self.state(server))

    def test_stop(self) -> None:
        server = self.boot({'isolation:qemu_hardening': 'nx'})
        self.assertActive(server, base.HARDENED)
        self.watch(on_violation='stop')
        self.replace_emulator()
        # Nova handles the event of a stopped guest only after 15 s.
        self.guests.wait_status(server, ('SHUTOFF',))
        self.assertEqual('shut off', self.state(server))

    def test_resumed_by_somebody_else(self) -> None:
        server = self.boot({'isolation:qemu_hardening': 'nx'})
        self.assertActive(server, base.HARDENED)
        self.watch(verify_interval='3600')
        self.replace_emulator()
        time.sleep(3)
        self.assertEqual([], self.results(server))
        host, supervisor = (
            self.cloud.hosts[base.HARDENED],
            self.cloud.supervisor,
        )
        for command in ('suspend', 'resume'):
            host.virsh(supervisor, command, str(server.id))
        self.wait_results(server, 'Error')
