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

"""Hosts that a verifier vouches for, or no longer does."""

import contextlib
import io
import os
import time

import fixtures as base_fixtures
import nova.conf
from nova.tests.functional.api import client

from nova_isolation.attestation import opts
from nova_isolation.attestation import snapshot
from nova_isolation.cmd import explain
from nova_isolation.mechanisms.attested import attestation_result
from nova_isolation.mechanisms.attested import reason_codes as attested_reasons
from nova_isolation.testing import fixture_provider
from tests.functional import fixtures
from tests.functional import road
from tests.unit import entry_points

CONF = nova.conf.CONF

FAILED = 'isolation.attested.failed'
TRAIT = 'CUSTOM_ISOLATION_ATTESTED'
#: The default of the option.
_MAX_AGE = 120
PCRS = ('17=' + 'ab' * 32,)


class TestCase(road.TestCase):
    """The verdicts are in a file that tests write (provider ``fixture``).

    Only these tests have an entry point for that provider.
    """

    def setUp(self):
        self.file = os.path.join(
            self.useFixture(base_fixtures.TempDir()).path, 'verdicts'
        )
        self.verdicts = {}
        self.sources = []
        self.write()
        self.useFixture(entry_points.FixtureProvider())
        super().setUp()

    def _setup_scheduler_service(self):
        self.flags(provider='fixture', group='isolation_attestation')
        own = opts.register_own(
            CONF, 'fixture', fixture_provider.FixtureProvider
        )
        self.flags(file=self.file, group=own._group.name)
        service = super()._setup_scheduler_service()
        self.sources += [
            one.attestation
            for one in service.manager.host_manager.enabled_filters
            if hasattr(one, 'attestation')
        ]
        self.addCleanup(self.stop)
        return service

    def start_compute(self, hostname, *args, **kwargs):
        super().start_compute(hostname, *args, **kwargs)
        self.sources.append(self.guard(hostname).attestation)
        return hostname

    def stop(self):
        """End the threads."""
        for source in self.sources:
            source.stop()

    def write(self):
        """Write the file, whole."""
        text = snapshot.dumps(snapshot.Snapshot('host', self.verdicts))
        with open(self.file + '.new', 'w') as stream:
            stream.write(text)
        os.replace(self.file + '.new', self.file)

    def say(self, *hosts, state='good', found='', ago=0, pcrs=PCRS):
        """What the verifier says of hosts from now on; all know it then."""
        for host in hosts:
            now = time.time()
            self.verdicts[host] = snapshot.Verdict(
                attestation_result.dumps(
                    attestation_result.AttestationResult(state, found, pcrs)
                ),
                now - ago,
                now,
                f'agent of {host}',
                'https://verifier:8881',
            )
        self.write()
        self._wait_for_assert(self.all_know, max_retries=200)

    def all_know(self):
        """All services have read the file."""
        for source in self.sources:
            self.assertEqual(self.verdicts, dict(source.snapshot.verdicts))

    def lose(self, *hosts):
        """They fail; their trait stays as it is."""
        self.say(*hosts, state='failed', found='invalid quote (state 9)')

    def attested(self, **extra_specs):
        """A flavor."""
        return self.flavor(attested='true', **extra_specs)

    def begin(self, *hosts):
        """Start hosts that are all good, and say so."""
        self.start(*(fixtures.Machine() for _ in hosts))
        self.say(*hosts)
        for host in hosts:
            self.update(host)


class ScheduleTest(TestCase):
    def test_only_where_it_is_good(self):
        self.begin('host1', 'host2', 'host3')
        self.lose('host1')
        self.say('host2', pcrs=('0=' + 'ab' * 32,))
        flavor = self.attested(attested_pcrs='17', attested_max_age='60')
        server = self.boot(flavor)
        self.assertHost('host3', server)
        (event,) = self.ours(server, 'isolation_verify', 'host3')
        self.assertEvent(event, 'Success', 'host3')
        # Another host than the one that is asked for.
        self.say('host3', ago=61)
        self.boot(flavor, 'ERROR')
        self.assertTrue(self.logged("'isolation.attested.stale': 1"))
        self.assertTrue(self.logged("'isolation.attested.pcr_not_judged': 1"))
        # It asks for less.
        self.assertHost('host2', self.boot(self.attested()))

    def test_trait(self):
        self.start(fixtures.Machine(), fixtures.Machine())
        self.say('host1')
        for host, expected in (('host1', True), ('host2', False)):
            self.update(host)
            self.assertEqual(expected, TRAIT in self.traits(host))
        # Placement alone would not refuse: the trait stands still.
        self.lose('host1')
        self.assertIn(TRAIT, self.traits('host1'))
        self.boot(self.attested(), 'ERROR')
        self.assertTrue(self.logged("'isolation.attested.failed': 1"))
        self.update('host1')
        self.assertNotIn(TRAIT, self.traits('host1'))

    def test_it_runs_out_by_itself(self):
        self.begin('host1')
        self.say('host1', ago=_MAX_AGE - 20)
        self.boot(self.attested())
        self.say('host1', ago=_MAX_AGE - 2)
        end = self.verdicts['host1'].good_at + _MAX_AGE
        # Nobody can be asked any more, and nothing says that it is over.
        os.unlink(self.file)
        time.sleep(max(0, end - time.time()) + 0.1)
        self.boot(self.attested(), 'ERROR')
        self.assertIn(TRAIT, self.traits('host1'))
        self.assertTrue(self.logged("'isolation.attested.stale': 1"))

    def test_untagged_flavors_do_not_notice(self):
        self.begin('host1')
        self.lose('host1')
        os.unlink(self.file)
        server = self.boot(self.flavor())
        server = self.act(server, 'reboot', {'type': 'HARD'})
        self.assertEqual('ACTIVE', server['status'])

    def test_explained(self):
        self.begin('host1', 'host2')
        self.lose('host1')
        flavor = self.attested()
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            self.assertEqual(0, explain.run(flavor))
        self.assertIn('host2: accepted', output.getvalue())
        self.assertIn('host1: refused', output.getvalue())
        self.assertIn(
            'found verdict: invalid quote (state 9)', output.getvalue()
        )
        self.assertIn(attested_reasons.FAILED.remedy, output.getvalue())

    def test_asking_makes_no_identity(self):
        # Nova refuses to start where it has lost its own.
        self.begin('host1')
        driver = self.driver('host1')
        driver._host._node_uuid = None
        with (
            base_fixtures.MockPatch('nova.virt.node.LOCAL_NODE_UUID', None),
            base_fixtures.MockPatch(
                'nova.virt.node.get_local_node_uuid', side_effect=OSError
            ),
        ):
            self.assertIn('attested', driver._evidence_of_this_host())


class NobodyTest(road.TestCase):
    """No verifier is asked, or none that can be."""

    def test_no_provider(self):
        self.start(fixtures.Machine())
        self.boot(self.flavor(attested='true'), 'ERROR')
        self.boot(self.flavor())

    def test_a_provider_that_there_is_not(self):
        self.flags(provider='nonsense', group='isolation_attestation')
        self.start(fixtures.Machine())
        self.assertTrue(self.logged("provider is 'nonsense'"))
        self.flags(request_traits=False, group='isolation')
        server = self.refused(
            self.flavor(attested='true'),
            'isolation.facts.no_evidence',
            az='nova:host1',
        )
        self.assertNothingLeft(server, 'host1')
        self.boot(self.flavor())


class RoadTest(TestCase):
    """Roads that no filter sees, onto a host that lost its trust."""

    def test_forced_host(self):
        self.begin('host1')
        self.lose('host1')
        server = self.refused(self.attested(), FAILED, az='nova:host1')
        # What the verifier said is for admins.
        (event,) = self.events(server, 'isolation_decide')
        self.assertIn('invalid quote (state 9)', event['details'])
        self.assertNotIn('quote', server['fault']['message'])
        self.assertNothingLeft(server, 'host1')

    def test_rebuild(self):
        self.begin('host1')
        server = self.boot(self.attested(), networks='auto')
        image = {'imageRef': server['image']['id']}
        server = self.act(server, 'rebuild', image)
        self.assertEqual('ACTIVE', server['status'])
        self.lose('host1')
        server = self.act(server, 'rebuild', image)
        self.assertEqual('ERROR', server['status'])
        self.assertNothingRuns(server)
        self.assertRefused(server, 'isolation_decide', 'host1', FAILED)

    def test_reboot(self):
        self.begin('host1')
        server = self.boot(self.attested())
        server = self.act(server, 'reboot', {'type': 'HARD'})
        self.assertEqual('ACTIVE', server['status'])
        self.lose('host1')
        server = self.act(server, 'reboot', {'type': 'HARD'})
        self.assertEqual('ACTIVE', server['status'])
        self.assertEqual(road.RUNNING, self.state(server, 'host1'))
        self.assertRefused(server, 'isolation_decide', 'host1', FAILED)

    def test_evacuation(self):
        self.begin('host1', 'host2')
        server = self.boot(self.attested(), networks='auto')
        self.assertHost('host1', server)
        self.domain(server).end()
        (service,) = self.api.get_services(host='host1', binary='nova-compute')
        self.api.put_service_force_down(service['id'], True)
        self.lose('host2')
        forced = {'host': 'host2', 'force': True}
        server = self.act(server, 'evacuate', forced, '2.29')
        self.assertHost('host1', server)
        self.assertNothingRuns(server)
        self.assertRefused(server, 'isolation_decide', 'host2', FAILED)
        self.say('host2')
        server = self.act(server, 'evacuate', forced, '2.29')
        self.assertHost('host2', server)
        self.assertEqual('ACTIVE', server['status'])

    def test_live_migration(self):
        self.begin('host1', 'host2')
        server = self.boot(self.attested(), networks='auto')
        self.assertHost('host1', server)
        self.lose('host2')
        forced = {'host': 'host2', 'block_migration': 'auto', 'force': True}
        error = self.assertRaises(
            client.OpenStackApiException,
            self.act,
            server,
            'os-migrateLive',
            forced,
            '2.30',
        )
        self.assertIn(f'[{FAILED}]', str(error))
        server = self.settle(server)
        self.assertHost('host1', server)
        self.assertEqual(road.RUNNING, self.state(server, 'host1'))
        self.say('host2')
        server = self.act(server, 'os-migrateLive', forced, '2.30')
        self.assertHost('host2', server)
        self.assertEqual(road.RUNNING, self.state(server, 'host2'))

    def test_lost_between_start_and_verification(self):
        self.begin('host1')
        guard = self.guard('host1')
        guest = guard.hypervisor.guest

        def lose_first(handle, shared=None):
            self.lose('host1')
            return guest(handle, shared)

        with base_fixtures.MockPatchObject(
            guard.hypervisor, 'guest', lose_first
        ):
            server = self.refused(self.attested(), FAILED)
        (event,) = self.events(server, 'isolation_verify')
        self.assertEvent(event, 'Error', 'host1')
        self.assertNothingLeft(server, 'host1')


class RunningGuestTest(TestCase):
    """A host loses its trust while guests run on it."""

    def test_told_and_not_killed(self):
        self.begin('host1')
        server = self.boot(self.attested())
        untagged = self.boot(self.flavor())
        work = self.driver('host1')._watch._work
        work.run()
        self.lose('host1')
        work.run()
        for one in (server, untagged):
            self.assertEqual(road.RUNNING, self.state(one, 'host1'))
        (event,) = self.events(server, 'isolation_reverify')
        self.assertEvent(event, 'Error', 'host1')
        self.assertEqual([], self.events(untagged, 'isolation_reverify'))
        self.assertNotIn(TRAIT, self.traits('host1'))
        # Told once.
        work.run()
        self.assertEqual(1, len(self.events(server, 'isolation_reverify')))
        self.say('host1')
        work.run()
        event = self.events(server, 'isolation_reverify')[-1]
        self.assertEvent(event, 'Success', 'host1')
        self.assertIn(TRAIT, self.traits('host1'))

    def test_the_watch_is_woken(self):
        self.begin('host1')
        with base_fixtures.MockPatchObject(
            self.driver('host1')._watch, 'hurry'
        ) as hurry:
            self.lose('host1')
            self.assertTrue(hurry.mock.called)
            hurry.mock.reset_mock()
            # Of another host, and a newer quote of this one.
            self.say('host2')
            self.lose('host1')
            self.assertFalse(hurry.mock.called)
