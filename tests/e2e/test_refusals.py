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

"""Who refuses, how the user is told, and that nothing is left behind."""

from openstack import exceptions

from lab.daemons import nova
from tests.e2e import base

_SANDBOX = {'isolation:qemu_sandbox': 'true'}


class ApiTest(base.TestCase):
    """What nova-api lets an admin write into a flavor."""

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
        self.assertBadRequest({'isolation:attested': 'true'}, 'attested')

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
    """The compute host's own refusal, when the scheduler errs."""

    def test_nothing_is_left(self) -> None:
        # Without the traits a forced host gets past the scheduler.
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


class AuditTest(base.TestCase):
    """``[isolation] mode = audit`` refuses nothing."""

    def test_boots_anyway(self) -> None:
        self.restart(nova.SCHEDULER, mode='audit')
        self.restart(nova.compute_name(base.PLAIN), mode='audit')
        server = self.boot(_SANDBOX, host=base.PLAIN)
        self.assertActive(server, base.PLAIN)
        self.assertEvent(server, 'isolation_decide', 'Error')
