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

"""Refusals: by which service, with which message, and without leftovers."""

import contextlib
from typing import Any

from openstack import exceptions

from lab.daemons import nova
from lab.run import marks
from tests.e2e import base
from tests.e2e import paused_start

_SANDBOX = {'isolation:qemu_sandbox': 'true'}
#: Each host of the lab has it.
_PIE = {'isolation:qemu_hardening': 'pie'}


class ApiTest(base.TestCase):
    """The extra specs that nova-api accepts and refuses."""

    def assertBadRequest(self, specs: dict[str, str], *words: str) -> None:
        with self.assertRaises(exceptions.BadRequestException) as caught:
            self.flavor(specs)
        for word in words:
            self.assertIn(word, str(caught.exception))

    def test_mistyped_key(self) -> None:
        self.assertBadRequest({'isolation:svrit': 'selinux'}, 'svrit')

    def test_bad_value(self) -> None:
        self.assertBadRequest(
            {'isolation:qemu_hardening': 'pie,magic'}, 'pie,magic'
        )

    def test_reserved_key(self) -> None:
        self.assertBadRequest({'isolation:memory': 'true'}, 'memory')

    def test_old_microversion_takes_anything_and_nothing_runs(self) -> None:
        flavor = self.flavor()
        self.api.compute.post(
            f'/flavors/{flavor.id}/os-extra_specs',
            microversion='2.1',
            json={'extra_specs': {'isolation:svrit': 'selinux'}},
        ).raise_for_status()
        server = self.boot_flavor(flavor)
        fault = self.refused_to_start(server)
        self.assertIn('isolation:svrit', fault['message'])
        self.assertNoAllocations(server)


class ForcedHostTest(base.TestCase):
    """``az:host`` skips every filter of the scheduler."""

    def test_held_by_the_traits(self) -> None:
        server = self.boot(_SANDBOX, availability_zone=f'nova:{base.PLAIN}')
        self.assertNoValidHost(server)

    def test_runs_where_it_may(self) -> None:
        server = self.boot(_SANDBOX, availability_zone=f'nova:{base.HARDENED}')
        self.assertActive(server, base.HARDENED)


class ComputeHostTest(base.TestCase):
    """The compute host refuses a guest that the scheduler accepted."""

    def test_nothing_is_left(self) -> None:
        # Without the traits the scheduler accepts a forced host.
        self.restart(nova.SCHEDULER, request_traits='false')
        server = self.boot(_SANDBOX, availability_zone=f'nova:{base.PLAIN}')
        self.refused_to_start(server)
        self.assertNoAllocations(server)
        self.assertEvent(server, 'isolation_decide', 'Error')
        server = self.guests.wait_fault(server, 'isolation:qemu_sandbox')
        self.assertIn('isolation.qemu.no_sandbox', server.fault['message'])

    def test_next_guest_of_the_host_runs(self) -> None:
        self.restart(nova.SCHEDULER, request_traits='false')
        self.boot(_SANDBOX, availability_zone=f'nova:{base.PLAIN}')
        self.assertActive(self.boot(host=base.PLAIN), base.PLAIN)


class VerificationTest(base.TestCase):
    """A guest that cannot be verified never runs, whatever the facts say.

    cpu-plain's nova-compute is made to look for the processes of the guests
    where there are none. Its facts do not depend on that.
    """

    def setUp(self) -> None:
        super().setUp()
        self.host = self.cloud.hosts[base.PLAIN]
        self.restart(
            nova.compute_name(base.PLAIN),
            qemu_run_dir=self.folder_without_guests(base.PLAIN),
        )

    def assertNeverRan(self, server: Any, console: str) -> None:
        self.refused_to_start(server)
        self.assertNoAllocations(server)
        self.assertNotIn(marks.GUEST_UP, console)
        server = self.guests.wait_fault(server, 'isolation:qemu_hardening')
        self.assertIn('isolation.verify.failed', server.fault['message'])

    def test_started_paused_and_refused(self) -> None:
        flavor = self.flavor(_PIE)
        self.assertExplained(flavor, f'{base.PLAIN}: accepted')
        server = self.guests.create(flavor.name, flavor.id, host=base.PLAIN)
        self.addCleanup(self.guests.delete, server)
        path = self.instance_folder(base.PLAIN, server) / 'console.log'
        start = paused_start.PausedStart(
            self.host, self.cloud.supervisor, server
        )
        # Nova removes the folder; the open file can still be read.
        with contextlib.ExitStack() as files:
            with start.lasting():
                console = files.enter_context(
                    path.open(encoding='utf-8', errors='replace')
                )
            server = self.guests.wait_status(server, ('ACTIVE', 'ERROR'))
            self.assertNeverRan(server, console.read())
        # The host accepted the guest, and refused its process.
        isolation = [
            (event['event'], event['result'], event['host'])
            for event in self.guests.events(server)
            if event['event'].startswith('isolation_')
        ]
        self.assertEqual(
            [('isolation_verify', 'Error', base.PLAIN)], isolation
        )
        # The host is honest again: it refuses such guests, and others run.
        self.doCleanups()
        self.assertNoValidHost(self.boot(_SANDBOX, host=base.PLAIN))
        self.assertActive(self.boot(host=base.PLAIN), base.PLAIN)


class AuditTest(base.TestCase):
    """``[isolation] mode = audit`` refuses nothing."""

    def test_boots_anyway(self) -> None:
        self.restart(nova.SCHEDULER, mode='audit')
        self.restart(nova.compute_name(base.PLAIN), mode='audit')
        server = self.boot(_SANDBOX, host=base.PLAIN)
        self.assertActive(server, base.PLAIN)
        self.assertEvent(server, 'isolation_decide', 'Error')
