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

"""Guests that no host may run."""

import functools

from tempest import config

from nova_isolation_tempest_plugin import config as our_config
from nova_isolation_tempest_plugin.tests import base

CONF = config.CONF


class RefusalsTest(base.TestCase):
    """What the owner reads of a refusal, and what is left of the guest."""

    def test_no_host_offers_it(self) -> None:
        """The scheduler refuses; no compute host is asked."""
        server = self.boot(self.flavor(base.refused()))
        self.assertOfNoHost(server)
        self.assertEqual([], self.ours(server['id']))
        # The owner sees the fault as well.
        own = self.servers.show_server(server['id'])['server']
        self.assertIn(base.NO_VALID_HOST, own['fault']['message'])

    def test_a_compute_host_refuses(self) -> None:
        """Each host refuses a guest that an admin forces onto it."""
        flavor = self.flavor(
            our_config.extra_specs(CONF.isolation.forced_extra_specs)
        )
        for host, zone in sorted(self.computes().items()):
            server = self.boot(flavor, availability_zone=f'{zone}:{host}')
            self.assertEqual('ERROR', server['status'], host)
            fault = self.wait(
                f'the reason of {host}',
                functools.partial(self._reason, server['id']),
            )
            self.assertIn('Isolation refuses the guest', fault)
            self.assertEqual(
                [('isolation_decide', 'Error')], self.ours(server['id'])
            )
            self.assertNothingLeft(server['id'])

    def _reason(self, server: str) -> str:
        """Return the fault of a server once it has the reason code."""
        message = str(self.show(server).get('fault', {}).get('message'))
        code = f'[{CONF.isolation.forced_reason_code}]'
        return message if code in message else ''

    def test_the_next_guest_runs(self) -> None:
        """A refusal does not use up a host."""
        self.assertOfNoHost(self.boot(self.flavor(base.refused())))
        server = self.boot(self.flavor(base.offered()))
        self.assertEqual('ACTIVE', server['status'], server.get('fault'))

    def test_several_at_once(self) -> None:
        """Each of several servers is refused by itself."""
        flavor = self.flavor(base.refused())
        for server in [self.create(flavor) for _ in range(3)]:
            self.assertOfNoHost(self.reach(server, 'ACTIVE', 'ERROR'))
