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


"""Nothing but a newer good quote prolongs trust.

All parts but the wire: a verifier's answers as it writes them, the provider,
the daemon's source with its revocations, a client's copy of the snapshot, the
decision. Time is the machine's.
"""

import email.utils
import types
from unittest import mock

import hypothesis
from hypothesis import stateful
from hypothesis import strategies as st

from nova_isolation.attestation import provider
from nova_isolation.attestation import refresher
from nova_isolation.attestation import snapshot
from nova_isolation.attestation.keylime import keylime_provider
from nova_isolation.decision import cache
from nova_isolation.decision import host_facts
from nova_isolation.https import https_client
from nova_isolation.https import https_error
from nova_isolation.https import peer_clock
from nova_isolation.mechanisms import registry
from nova_isolation.model import requirements
from tests.unit import base
from tests.unit.attestation.keylime import verifier

MAX_AGE = 120.0
SKEW = 5.0
NODE = verifier.FIRST
PLAIN = {'isolation:attested': 'true'}
#: Extra specs, and after how many seconds the quote no longer counts.
FLAVORS = (
    (PLAIN, MAX_AGE),
    ({**PLAIN, 'isolation:attested_max_age': '30'}, 30.0),
    ({**PLAIN, 'isolation:attested_max_age': '3600'}, MAX_AGE),
    ({**PLAIN, 'isolation:attested_pcrs': '17'}, MAX_AGE),
)

#: Who asks after something has happened.
ASKED = st.sampled_from(('', 'daemon', 'both', 'both'))
MOODS = (
    'well', 'down', 'down', 'down', 'restarted', 'emptied',
    b'', b'{', b'[]', b'{"results": {}}',
    verifier.body({NODE: {}}), verifier.body({NODE: None}),
    verifier.body({NODE.upper(): {'v': 'x'}, NODE: {}}),
)  # fmt: skip


class World:
    """A host with its agent, its verifier, and the time."""

    def __init__(self):
        #: Seconds since the epoch, and by how much the verifier is ahead.
        self.now = 1_800_000_000.0
        self.ahead = 0.0
        #: By how much our own clock is.
        self.own = 0.0
        self.is_up = True
        #: What it answers instead of the truth.
        self.nonsense = None
        self.status = {
            **verifier.recorded('two_pass', self.now)[NODE],
            'operational_state': 1,
            'attestation_status': 'PENDING',
            'attestation_count': 0,
            'last_received_quote': 0,
            'last_successful_attestation': 0,
        }
        #: When quotes were good, by our clock.
        self.good = []

    def clock(self):
        """Our own."""
        return self.now + self.own

    def stamp(self):
        """As Keylime does: int(time.time())."""
        return int(self.now + self.ahead)

    def get(self, url, headers=None, timeout=None):
        """As https.Client.get."""
        if not self.is_up:
            raise https_error.HttpsError(f'{url}: no answer')
        at = peer_clock.check(
            url,
            email.utils.formatdate(self.now + self.ahead, usegmt=True),
            self.clock(),
            self.clock(),
            SKEW,
        )
        if url.endswith('/version'):
            body = verifier.body({'supported_versions': ['2.6']})
        elif self.nonsense is not None:
            body = self.nonsense
        else:
            body = verifier.body({NODE: self.status})
        return https_client.Answer(200, {}, body, at)

    def close(self):
        """As https.Client.close."""


class Relay(provider.Provider):
    """What a client of the daemon has: a copy, over the wire's text."""

    def __init__(self, daemon, world):
        self.daemon = daemon
        self.world = world

    def fetch(self, before):
        if self.world.own:
            raise provider.ProviderError('its clock differs from ours')
        known = self.daemon().snapshot
        if not known.verdicts:
            raise provider.ProviderError('it knows nothing')
        return snapshot.loads(snapshot.dumps(known))


class Machine(stateful.RuleBasedStateMachine):
    """Any sequence of what can happen."""

    def __init__(self):
        super().__init__()
        self.world = World()
        self.patch = mock.patch.multiple(
            refresher,
            time=types.SimpleNamespace(time=self.world.clock),
            _uptime=lambda: self.world.now,
        )
        self.patch.start()
        known = registry.get()
        self.wanted = [
            (requirements.parse(specs, known.vocabulary), age)
            for specs, age in FLAVORS
        ]
        self.judges = [
            cache.DecisionCache(wanted, base.FRESH, known)
            for wanted, _ in self.wanted
        ]
        self.start_daemon()
        self.start_client()

    def teardown(self):
        self.patch.stop()

    @stateful.rule(who=st.sampled_from(('daemon', 'client')))
    def restarts(self, who):
        if who == 'daemon':
            self.start_daemon()
        else:
            self.start_client()

    def start_daemon(self):
        """It has forgotten everything, revocations too."""
        with mock.patch.object(
            keylime_provider.https_client, 'Client', lambda **_: self.world
        ):
            asked = keylime_provider.KeylimeProvider(
                types.SimpleNamespace(
                    ca_file='ca', cert_file='c', key_file='k',
                    timeout=20.0, clock_skew=SKEW,
                ),
                types.SimpleNamespace(
                    verifiers=['https://v:1'],
                    poll_interval=1.0,
                    host_map='node-uuid',
                ),
            )  # fmt: skip
        self.daemon = refresher.Refresher(
            asked, max_age=MAX_AGE, clock_skew=SKEW
        )
        self.revoked_at = None
        self.failed = -1

    def start_client(self):
        self.client = refresher.Refresher(
            Relay(lambda: self.daemon, self.world),
            max_age=MAX_AGE,
            clock_skew=SKEW,
        )

    @stateful.rule(
        seconds=st.sampled_from((1, 29, 36, 60, 119, 126, 300))
        | st.floats(0, 150)
    )
    def time_passes(self, seconds):
        self.world.now += seconds

    @stateful.rule(
        state=st.sampled_from((3, 3, 5)),
        # Within the skew, whenever there is a quote.
        ahead=st.sampled_from((0.0, -SKEW, SKEW)) | st.floats(-SKEW, SKEW),
        asked=ASKED,
    )
    def good_quote(self, state, ahead, asked):
        """Of an agent that is well, or was reactivated just now."""
        world, status = self.world, self.world.status
        world.ahead, world.is_up, world.nonsense = ahead, True, None
        status.update(
            operational_state=state,
            attestation_status='PASS',
            attestation_count=status['attestation_count'] + 1,
            last_received_quote=world.stamp(),
            last_successful_attestation=world.stamp(),
        )
        world.good.append(world.now)
        self.ask(asked)

    @stateful.rule(
        state=st.sampled_from((1, 4, 6, 7, 9)),
        is_told=st.booleans(),
        asked=ASKED,
    )
    def bad_quote(self, state, is_told, asked):
        """Or none; with a webhook or, if it gets lost, without."""
        if self.world.is_up:
            self.world.status.update(
                operational_state=state,
                attestation_status={1: 'PENDING', 4: 'PASS', 6: 'PASS'}.get(
                    state, 'FAIL'
                ),
                last_received_quote=self.world.stamp(),
            )
            if is_told:
                self.webhook()
        self.ask(asked)

    @stateful.rule()
    def webhook(self):
        self.daemon.revoke(NODE, 'revoked by its verifier')
        self.revoked_at = self.world.now

    @stateful.rule(mood=st.sampled_from(MOODS), asked=ASKED)
    def verifier_is(self, mood, asked):
        """Down, up again, added anew, or it talks nonsense."""
        world = self.world
        world.is_up = mood != 'down'
        world.nonsense = mood if isinstance(mood, bytes) else None
        if mood == 'restarted':
            world.status.update(
                operational_state=1, attestation_status='PENDING'
            )
        if mood == 'emptied':
            world.status.update(
                operational_state=1,
                attestation_status='PENDING',
                attestation_count=0,
                last_successful_attestation=0,
            )
        self.ask(asked)

    @stateful.precondition(lambda self: not self.world.own)
    @stateful.rule(wrong=st.sampled_from((-600.0, 600.0)))
    def clock_is_wrong(self, wrong):
        """It is not believed for that long."""
        ahead, self.world.ahead = self.world.ahead, wrong
        failures, _ = self.daemon.step(0)
        assert failures
        self.world.ahead = ahead

    @stateful.rule(own=st.sampled_from((0.0, -600.0, 600.0)))
    def own_clock_is_set(self, own):
        """Back, ahead, or right again."""
        self.world.own = own

    @stateful.rule(asked=ASKED)
    def ask(self, asked):
        if asked:
            self.daemon_asks()
        if asked == 'both':
            self.client.step(0)

    def daemon_asks(self):
        """And the answer is believed if, and only if, it is good."""
        self.daemon.step(0)
        world = self.world
        status = world.status
        at = status['last_successful_attestation']
        if not world.is_up or world.nonsense is not None or world.own:
            return
        if status['attestation_status'] == 'FAIL':
            self.failed = max(self.failed, at)
        is_good = (
            status['attestation_status'] == 'PASS'
            and status['operational_state'] in (3, 5)
            and at > self.failed
            and at > 0
            and (self.revoked_at is None or at > self.revoked_at + SKEW + 1)
        )
        if is_good:
            self.failed, self.revoked_at = -1, None
        for index, (_, age) in enumerate(self.wanted):
            assert self.accepts(self.daemon, index) == (
                is_good and -SKEW <= world.now - at <= age
            )

    def accepts(self, asked, index):
        """Whether a guest of a flavor may be there."""
        wanted, _ = self.wanted[index]
        evidence = asked.evidence('host', NODE, self.world.clock())
        answer = host_facts.decide(
            wanted,
            '{"v":1}',
            age=0.0,
            freshness=base.FRESH,
            mechanisms=registry.get(),
            evidence=evidence,
        )
        kept = self.judges[index].decide(
            '{"v":1}',
            0.0,
            asked.statements('host', NODE),
            asked.clock(self.world.clock()),
        )
        assert kept.codes == answer.codes
        return answer.accepted

    @stateful.invariant()
    def trust_runs_out(self):
        world = self.world
        last = world.good[-1] if world.good else float('-inf')
        for asked in (self.daemon, self.client):
            for index, (_, age) in enumerate(self.wanted):
                if self.accepts(asked, index):
                    assert world.now <= last + age + SKEW

    @stateful.invariant()
    def revoked_until_a_newer_quote(self):
        if self.revoked_at is not None and self.accepts(self.daemon, 0):
            assert self.world.good[-1] > self.revoked_at


class TrustRunsOutTest(Machine.TestCase, base.TestCase):
    """The machine, as a test."""

    settings = hypothesis.settings(
        max_examples=100, stateful_step_count=40, deadline=None
    )
