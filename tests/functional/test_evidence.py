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

"""What a host states about its guests, in signed statements."""

import hashlib
import json
import time
from unittest import mock

import fixtures as base_fixtures
from nova import objects
from nova.tests.fixtures import libvirt as fakelibvirt

from nova_isolation.attester import outbox
from nova_isolation.cloud import live_servers
from nova_isolation.evidence import envelope
from nova_isolation.evidence import question
from nova_isolation.evidence import statement
from nova_isolation.evidence import statement_form
from nova_isolation.report import asked
from nova_isolation.virt.sinks import evidence as sinks_evidence
from tests.functional import fixtures
from tests.functional import test_attested
from tests.unit.attester import log_server


class TestCase(test_attested.TestCase):
    """A host with a key in a file, whose log is one of the test."""

    def setUp(self):
        self.log = self.useFixture(log_server.Log())
        self.useFixture(
            base_fixtures.MonkeyPatch(f'{outbox.__name__}._PAUSE', 0.1)
        )
        self.folder = self.useFixture(base_fixtures.TempDir()).join('keys')
        super().setUp()

    def configure(self, **other):
        given = {
            **self.log.options(),
            'signing_key': 'file',
            'key_dir': self.folder,
        }
        self.flags(**given | other, group='isolation_evidence')

    def start_one(self):
        self.start(fixtures.Machine())
        self.machine = self.machines['host1']
        driver = self.driver('host1')
        if driver._evidence is not None:
            self.addCleanup(driver._evidence.stop)
        return driver

    def make_key(self):
        options = self.driver('host1')._evidence._outbox._signer.__self__
        options.create(False, '')
        self.key = options.public()

    def stated(self, number):
        """What the log has, when it has that much."""
        self.assertTrue(
            self.log.wait(lambda: len(self.log.taken) >= number),
            len(self.log.taken),
        )
        return self.log.statements(self.key)

    def look(self):
        self.driver('host1')._watch._work.run(None, True)

    def full(self, stated):
        return [
            one
            for one in stated
            if one.audience is statement.Audience.OPERATOR
        ]


class EvidenceTest(TestCase):
    def setUp(self):
        super().setUp()
        self.configure()
        self.start_one()
        self.make_key()

    def test_a_guest_that_was_started(self):
        server = self.boot(self.tagged())
        operator, owner = self.stated(2)
        self.assertTrue(operator.verified)
        self.assertEqual(server['id'], operator.subject.uuid)
        self.assertEqual(statement.Occasion.START, operator.occasion)
        self.assertEqual(statement.KeyKind.FILE, operator.key)
        self.assertEqual(statement.Mode.ENFORCE, operator.mode)
        self.assertEqual('host1', operator.host.name)
        facts = self.guard('host1').host.measure().document
        self.assertEqual(
            hashlib.sha256(facts.encode()).hexdigest(), operator.host.facts
        )
        xml = self.domain(server).XMLDesc(0)
        self.assertEqual(
            hashlib.sha256(xml.encode()).hexdigest(), operator.subject.domain
        )
        self.assertEqual(
            {
                'isolation:svirt': 'selinux',
                'isolation:svirt_type': 'svirt_t',
                'isolation:qemu_sandbox': 'true',
            },
            operator.requirements,
        )
        (seccomp,) = [
            one.read
            for one in operator.proofs
            if one.requirement == 'isolation:qemu_sandbox'
        ]
        self.assertIn('Seccomp', seccomp)
        self.assertRegex(operator.request_id, '^req-')
        self.assertIsNone(operator.nonce)
        # The owner learns that it is so, and nothing about the host.
        self.assertTrue(owner.verified)
        self.assertEqual(operator.subject, owner.subject)
        for word in ('host1', 'Seccomp', 'svirt_t:s0', operator.host.facts):
            self.assertNotIn(word, statement_form.dumps(owner).decode())

    def test_each_run_has_a_name_of_its_own(self):
        server = self.boot(self.tagged())
        first = self.stated(2)[0]
        self.act(server, 'reboot', {'type': 'HARD'})
        second = self.stated(4)[2]
        self.assertEqual(first.subject.uuid, second.subject.uuid)
        self.assertNotEqual(first.subject.boot, second.subject.boot)

    def test_only_what_has_changed(self):
        server = self.boot(self.tagged())
        self.stated(2)
        for _ in range(3):
            self.look()
        self.unsandboxed('host1')
        # The second look believes it.
        self.look()
        self.look()
        found = self.full(self.stated(4))
        self.assertEqual(2, len(found))
        self.assertFalse(found[1].verified)
        self.assertEqual(statement.Occasion.WATCH, found[1].occasion)
        self.assertEqual(
            [('isolation:qemu_sandbox', 'isolation.qemu.no_sandbox')],
            [(one.requirement, one.code) for one in found[1].unmet],
        )
        self.enforcing('host1')
        self.look()
        found = self.full(self.stated(6))
        self.assertTrue(found[2].verified)
        self.assertIsNone(found[2].request_id)
        self.assertEqual(server['id'], found[2].subject.uuid)

    def test_heartbeat(self):
        self.boot(self.tagged())
        self.stated(2)
        self.look()
        known = self.driver('host1')._evidence._news
        known._heartbeat = 0.0
        self.look()
        self.assertEqual(4, len(self.stated(4)))

    def test_untagged_guests(self):
        self.boot(self.flavor())
        self.boot(self.tagged())
        self.stated(2)
        self.look()
        self.assertEqual(1, len(self.full(self.stated(2))))

    def test_a_guest_that_is_refused_is_not_stated(self):
        self.unsandboxed('host1')
        self.refused(self.tagged())
        self.enforcing('host1')
        server = self.boot(self.tagged())
        self.assertEqual(
            {server['id']}, {one.subject.uuid for one in self.stated(2)}
        )

    def test_no_guest_waits_for_the_log(self):
        self.log.stop()
        server = self.boot(self.tagged())
        box = self.driver('host1')._evidence._outbox
        self.assertEqual(2, box.waiting)
        begun = time.monotonic()
        self.look()
        self.assertLess(time.monotonic() - begun, 5)
        self.log.start(self.log.port)
        self.assertEqual(
            {server['id']}, {one.subject.uuid for one in self.stated(2)}
        )

    def test_what_cannot_be_named_is_not_stated(self):
        hypervisor = self.driver('host1').guard.hypervisor
        with mock.patch.object(hypervisor, 'boot', side_effect=OSError('no')):
            self.boot(self.tagged())
        self.assertEqual(1, len(self.logged('There is no statement')))
        self.assertEqual(0, self.driver('host1')._evidence._outbox.waiting)

    def test_audit_mode(self):
        self.flags(mode='audit', group='isolation')
        self.unsandboxed('host1')
        self.boot(self.tagged())
        (found,) = self.full(self.stated(2))
        self.assertEqual(statement.Mode.AUDIT, found.mode)
        self.assertFalse(found.verified)

    def test_attested(self):
        """The age of a quote is no news, and is stated all the same."""
        self.say('host1', ago=20)
        self.update('host1')
        self.boot(self.attested())
        (found,) = self.full(self.stated(2))
        self.assertIn(found.host.quote_age, range(19, 60))
        self.assertTrue(found.host.agent)
        self.say('host1', ago=10)
        self.look()
        self.assertEqual(2, len(self.log.taken))


class AskedTest(TestCase):
    """A statement with a nonce, as the service asks for it."""

    NONCE = 'a-nonce-of-the-asker'

    def setUp(self):
        super().setUp()
        self.configure()
        self.start_one()
        self.make_key()
        # Nova's fake libvirt knows neither.
        for name in ('vcpus', 'memoryStats'):
            patch = mock.patch.object(
                fixtures.Domain,
                name,
                side_effect=fakelibvirt.libvirtError('unsupported'),
                create=True,
            )
            patch.start()
            self.addCleanup(patch.stop)
        self.live = live_servers.LiveServers(
            lambda: list(objects.CellMappingList.get_all(self.context))
        )

    def ask(self, server, audience=statement.Audience.OPERATOR):
        return self.live.state(
            server['id'], question.Question(audience, self.NONCE)
        )

    def test_asked(self):
        server = self.boot(self.tagged())
        self.stated(2)
        for audience in statement.Audience:
            found = self.ask(server, audience)
            self.assertEqual('', found.code)
            self.assertIsNotNone(found.bundle['receipt'])
            said = envelope.open_envelope(found.bundle['envelope'], [self.key])
            self.assertEqual(
                (self.NONCE, audience, statement.Occasion.ASKED, True),
                (said.nonce, said.audience, said.occasion, said.verified),
            )
            self.assertEqual(server['id'], said.subject.uuid)
        self.assertEqual(4, len(self.log.taken))
        # Nothing of the question stays.
        self.look()
        self.assertEqual(4, len(self.log.taken))
        self.assertNotIn(
            self.NONCE, json.dumps(self.api.get_server(server['id']))
        )

    def test_what_is_unmet_is_stated(self):
        server = self.boot(self.tagged())
        self.unsandboxed('host1')
        found = self.ask(server)
        said = envelope.open_envelope(found.bundle['envelope'], [self.key])
        self.assertFalse(said.verified)
        self.assertEqual(
            [('isolation:qemu_sandbox', 'isolation.qemu.no_sandbox')],
            [(one.requirement, one.code) for one in said.unmet],
        )

    def test_the_log_is_away(self):
        server = self.boot(self.tagged())
        self.stated(2)
        self.log.stop()
        found = self.ask(server)
        self.assertEqual(question.AWAY, found.code)
        self.assertIsNone(found.bundle['receipt'])
        envelope.open_envelope(found.bundle['envelope'], [self.key])
        # Who waited has the answer; nothing is sent later.
        self.assertEqual(0, self.driver('host1')._evidence._outbox.waiting)
        self.log.start(self.log.port)
        self.log.refusal = 'standing'
        found = self.ask(server)
        self.assertEqual('standing', found.code)
        self.assertIsNone(found.bundle['receipt'])

    def test_no_statement(self):
        server = self.boot(self.tagged())
        driver = self.driver('host1')
        with (
            mock.patch.object(driver, '_evidence', None),
            self.assertRaisesRegex(asked.NotExamined, 'signing_key'),
        ):
            self.ask(server)
        # Nor without a key, nor where the run of the guest has no name; who
        # asks for less is answered.
        for owner, name, why in (
            (driver._evidence._answers, '_signer', 'no'),
            (driver.guard.hypervisor, 'boot', 'the run of the guest'),
        ):
            with (
                mock.patch.object(owner, name, side_effect=OSError('no')),
                self.assertRaisesRegex(
                    asked.NotExamined, f'no statement: {why}'
                ),
            ):
                self.ask(server)
            self.assertTrue(self.live.examine(server['id']).verified)

    def test_an_answer_to_another_question(self):
        server = self.boot(self.tagged())
        sink = self.driver('host1')._evidence
        answer = sink.answer
        for other in (
            question.Question(statement.Audience.OWNER, self.NONCE),
            question.Question(statement.Audience.OPERATOR, 'another-nonce'),
        ):
            with (
                mock.patch.object(
                    sink,
                    'answer',
                    lambda result, _, other=other: answer(result, other),
                ),
                self.assertRaisesRegex(asked.NotExamined, 'is malformed'),
            ):
                self.ask(server)


class WithoutTest(TestCase):
    """Nothing changes for who configures nothing, or something wrong."""

    def test_not_configured(self):
        with mock.patch.dict('sys.modules', {'securesystemslib': None}):
            driver = self.start_one()
            with mock.patch.object(driver.guard.hypervisor, 'boot') as boot:
                self.boot(self.tagged())
            boot.assert_not_called()
        self.assertIsNone(driver._evidence)

    def test_an_option_that_cannot_be_used(self):
        self.configure(url='http://127.0.0.1')
        driver = self.start_one()
        self.assertIsNone(driver._evidence)
        (line,) = self.logged('makes no statements about its guests')
        self.assertIn('https://', line)
        self.boot(self.tagged())

    def test_a_library_that_is_missing(self):
        self.configure()
        with mock.patch.object(
            sinks_evidence, 'make', side_effect=ImportError('securesystemslib')
        ):
            self.assertIsNone(self.start_one()._evidence)
        (line,) = self.logged('makes no statements about its guests')
        self.assertIn('securesystemslib', line)
        self.boot(self.tagged())

    def test_a_key_that_is_made_later(self):
        self.configure()
        self.start_one()
        self.boot(self.tagged())
        box = self.driver('host1')._evidence._outbox
        self.assertEqual(2, box.waiting)
        self.make_key()
        self.assertEqual(2, len(self.stated(2)))
