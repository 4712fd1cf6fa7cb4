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
"""Tests of nova_isolation.report.hosts."""

import dataclasses

from nova_isolation.model import facts
from nova_isolation.model import reasons
from nova_isolation.report import hosts
from nova_isolation.report import server as servers
from nova_isolation.virt import exception
from tests.unit import base
from tests.unit import strategies
from tests.unit.service import fakes

A = '11111111-1111-4111-8111-111111111111'
B = '22222222-2222-4222-8222-222222222222'


def event(code='', key='isolation:svirt', at='12:00', name=servers.REVERIFY):
    """An event as the sink of the driver writes it; no code: a success."""
    unmet = reasons.Unmet(code, key, 'wanted', 'found')
    return servers.Event(
        name,
        'Error' if code else 'Success',
        f'2026-11-26T{at}:00Z',
        '',
        exception.GuestViolated((unmet,)).details if code else '',
    )


OFF = event('isolation.svirt.no_label')
SERVER = servers.Server(
    A,
    'web',
    'p1',
    'a',
    'active',
    'm1',
    {'isolation:svirt': 'any', 'isolation:qemu_sandbox': 'true'},
    events=(OFF,),
)


class ViolationsTest(base.TestCase):
    """Which guests of a host violate what."""

    def violations(self, *found, violated=('svirt',)):
        document = facts.dumps(
            {**strategies.STRONG, **dict.fromkeys(violated, facts.violated())}
        )
        rules = fakes.rules()
        reports = hosts.HostReports(
            rules, hosts.candidates(rules.mechanisms.vocabulary, ()), found
        )
        seen = fakes.node('a', document=document)
        parts = fakes.parts(fakes.cloud([seen]))
        moment = hosts.explanation.Moment(parts.clock())
        return [
            (one['mechanism'], one['server'], one['since'])
            for one in reports.of(seen, moment)['violations']
        ]

    def test_the_guest_and_since_when(self):
        self.assertEqual([], self.violations(SERVER, violated=()))
        self.assertEqual(
            [('svirt', A, '2026-11-26T12:00:00Z')], self.violations(SERVER)
        )
        # It has changed since it was found, and was right before that.
        changed = dataclasses.replace(
            SERVER,
            events=(
                event('isolation.svirt.other', at='12:09'),
                event('isolation_decide', name='isolation_decide'),
                event('isolation.svirt.no_label', at='12:05'),
                event(name=servers.VERIFY, at='12:01'),
                event('isolation.svirt.no_label', at='11:00'),
            ),
        )
        self.assertEqual(
            [('svirt', A, '2026-11-26T12:05:00Z')], self.violations(changed)
        )

    def test_each_guest(self):
        other = dataclasses.replace(SERVER, uuid=B)
        self.assertEqual(
            [A, B], [one[1] for one in self.violations(other, SERVER)]
        )

    def test_guests_that_do_not_violate_it(self):
        for more in (
            {'host': 'b'},
            {'vm_state': 'stopped'},
            {'events': ()},
            {'events': (event(), OFF)},
            {'events': (event(name=servers.VERIFY), OFF)},
            # Its start was refused: it does not run.
            {'events': (event('isolation.svirt.no_label', name='x'),)},
        ):
            found = dataclasses.replace(SERVER, **more)
            self.assertEqual(
                [('svirt', None, None)], self.violations(found), more
            )

    def test_what_a_guest_violates(self):
        self.assertEqual(
            [('qemu', None, None), ('svirt', A, '2026-11-26T12:00:00Z')],
            self.violations(SERVER, violated=('svirt', 'qemu')),
        )
        # The code does not tell.
        failed = dataclasses.replace(
            SERVER, events=(event(reasons.VERIFY_FAILED.code),)
        )
        self.assertEqual(
            [
                ('qemu', A, '2026-11-26T12:00:00Z'),
                ('svirt', A, '2026-11-26T12:00:00Z'),
            ],
            self.violations(failed, violated=('svirt', 'qemu')),
        )
        # It does not ask for what is violated.
        self.assertEqual(
            [('hypervisor', None, None)],
            self.violations(failed, violated=('hypervisor',)),
        )
