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

"""The roads of a guest of Xen whose host has lost what is asked for."""

from nova_isolation.mechanisms.xsm import reason_codes
from nova_isolation.probes.xen import answers
from tests.functional.xen import base
from tests.functional.xen import fixtures

#: Another image of Nova's fixture of Glance than the servers of the tests.
_IMAGE = '155d900f-4e14-4e4c-a73d-069cbf4541e6'


class RefusedTest(base.GuestTestCase):
    """Each road ends in a refusal, and no guest is resumed."""

    def setUp(self):
        super().setUp()
        self.server = self.boot(self.tagged())

    def lose(self, host='host1'):
        """Nothing is enforced any more, and no facts say so yet."""
        self.machines[host].flask = answers.PERMISSIVE

    def start_other(self):
        """Another host, which is as the first one."""
        self.machines['host2'] = fixtures.Machine()
        self.start_compute('host2')

    def assertRefusedThere(self, host='host1'):
        """The host has refused, says why, and has resumed nothing."""
        code = f'[{reason_codes.NOT_ENFORCING.code}]'
        details = [
            event['details']
            for event in self.newest(self.server)
            if event['event'].startswith('isolation')
            and (event['result'], event['host']) == ('Error', host)
        ]
        self.assertEqual([True], [code in one for one in details], details)
        self.assertFault(self.server, reason_codes.NOT_ENFORCING.code)
        self.assertNotIn('resume', self.calls(host))
        self.assertNotIn(base.START, self.calls(host))

    def assertNothingRuns(self, host='host1'):
        """The host has refused, and the guest does not run."""
        self.assertRefusedThere(host)
        for machine in self.machines:
            for domain in self.connection(machine)._vms.values():
                self.assertNotEqual(base.RUNNING, domain._state)

    def test_start(self):
        self.act(self.server, 'os-stop')
        self.lose()
        self.act(self.server, 'os-start')
        self.assertNothingRuns()

    def test_hard_reboot(self):
        self.lose()
        number = self.domain(self.server).ID()
        self.act(self.server, 'reboot', {'type': 'HARD'})
        self.assertRefusedThere()
        # It was refused before the guest was powered off, and that runs on.
        self.assertEqual(number, self.domain(self.server).ID())
        self.assertEqual(base.RUNNING, self.domain(self.server)._state)

    def test_unpause(self):
        self.act(self.server, 'pause')
        self.lose()
        self.act(self.server, 'unpause')
        self.assertNothingRuns()

    def test_resume(self):
        self.act(self.server, 'suspend')
        self.lose()
        self.act(self.server, 'resume')
        self.assertNothingRuns()

    def test_rescue(self):
        self.lose()
        self.act(self.server, 'rescue')
        self.assertNothingRuns()

    def test_unrescue(self):
        self.act(self.server, 'rescue')
        self.lose()
        self.act(self.server, 'unrescue')
        self.assertNothingRuns()

    def test_rebuild(self):
        self.lose()
        self.act(self.server, 'rebuild', {'imageRef': _IMAGE})
        self.assertNothingRuns()

    def test_unshelve(self):
        self._shelve_server(self.server)
        self.lose()
        self.act(self.server, 'unshelve')
        self.assertNothingRuns()

    def test_resize(self):
        self.start_other()
        larger = self.tagged()
        self.lose('host2')
        self.act(self.server, 'resize', {'flavorRef': larger})
        self.assertNothingRuns('host2')

    def test_evacuate(self):
        self.start_other()
        self.lose('host2')
        self.domain(self.server).end()
        (service,) = self.api.get_services(host='host1', binary='nova-compute')
        self.api.put_service_force_down(service['id'], True)
        # Later microversions do not start the server.
        self.act(self.server, 'evacuate', {}, '2.94')
        self.assertNothingRuns('host2')
