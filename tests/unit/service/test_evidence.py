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

"""The calls for signed statements: of people, and of Nova's metadata."""

import dataclasses
import json
import threading

import anyio
import httpx

from nova_isolation.evidence import envelope
from nova_isolation.evidence import question
from nova_isolation.evidence import statement
from nova_isolation.report import asked
from nova_isolation.service import app
from nova_isolation.service import vendordata
from tests.unit.evidence import samples
from tests.unit.service import fakes
from tests.unit.service import test_servers

NONCE = 'a-nonce-of-somebody'
A, B, UNTAGGED = test_servers.A, test_servers.B, test_servers.UNTAGGED


def bundle(uuid=A, audience=statement.Audience.OPERATOR, nonce=NONCE):
    stated = (
        samples.OPERATOR
        if audience is statement.Audience.OPERATOR
        else samples.OWNER
    )
    stated = dataclasses.replace(
        stated,
        subject=dataclasses.replace(stated.subject, uuid=uuid),
        nonce=nonce,
    )
    return {
        'envelope': json.loads(envelope.seal(stated, samples.signer())),
        'receipt': {'index': 0},
    }


class Servers(fakes.Servers):
    """Hosts that state what they are asked for."""

    def __init__(self, seen, failure=None, code='', detail=''):
        super().__init__(seen)
        self.failure, self.code, self.detail = failure, code, detail
        self.gate = threading.Event()
        self.gate.set()
        self.called = []

    def state(self, uuid, wanted):
        self.called.append(uuid)
        self.gate.wait(30)
        if self.failure:
            raise self.failure
        made = bundle(uuid, wanted.audience, wanted.nonce)
        if self.code:
            made['receipt'] = None
        return question.Answer(made, self.code, self.detail)


class TestCase(test_servers.TestCase):
    def setUp(self):
        super().setUp()
        self.seen = test_servers.cloud()

    def ask(self, token='admin', query='', uuid=A, **more):
        client = fakes.client(self.seen, token, **more)
        return client.get(f'/v1/servers/{uuid}/evidence{query}')

    def found(self, *given, **more):
        answer = self.ask(*given, **more)
        self.assertEqual(200, answer.status_code, answer.text)
        return answer.json()['evidence']


class AskedTest(TestCase):
    """With a nonce the host states what it finds now."""

    QUERY = f'?nonce={NONCE}'

    def now(self, token='admin', query=QUERY, uuid=A, **more):
        return self.ask(token, query, uuid, servers=Servers(self.seen, **more))

    def test_who_reads_what(self):
        for token, audience in (
            ('admin', statement.Audience.OPERATOR),
            ('auditor', statement.Audience.OPERATOR),
            ('owner', statement.Audience.OWNER),
        ):
            found = self.now(token).json()['evidence']
            self.assertEqual(
                (A, audience.value, '', ''),
                (
                    found['server'],
                    found['audience'],
                    found['code'],
                    found['detail'],
                ),
            )
            said = question.check(found['bundle'], A, audience)
            self.assertEqual(NONCE, said.nonce)
        for token, uuid in (('other', A), ('nobody', A), ('owner', B)):
            self.assertError(404, 'not_found', self.now(token, uuid=uuid))
        self.assertError(401, 'unauthorized', self.now(''))

    def test_nonce(self):
        for nonce in ('', 'short', 'x' * 129, 'with%20spaces', '%0a' * 9):
            self.assertError(
                400, 'bad_request', self.now(query=f'?nonce={nonce}')
            )

    def test_the_log_is_away(self):
        more = {'code': question.AWAY, 'detail': 'secret-host: refused'}
        for token, reads in (('admin', True), ('owner', False)):
            found = self.now(token, **more).json()['evidence']
            self.assertEqual(question.AWAY, found['code'])
            self.assertIsNone(found['bundle']['receipt'])
            self.assertIn('has not countersigned', found['detail'])
            self.assertEqual(reads, 'secret-host' in found['detail'])

    def test_no_statement(self):
        for failure, status, code in (
            (asked.NotRunning('secret-host: off'), 409, 'not_running'),
            (asked.HostSilent('secret-host hangs'), 504, 'host_silent'),
            (asked.NotExamined('secret-host is old'), 502, 'not_examined'),
            (ConnectionError('PASSWORD'), 503, 'cloud_unread'),
        ):
            answer = self.now('owner', failure=failure)
            self.assertError(status, code, answer)
            self.assertNotIn('secret-host', answer.text)
            self.assertNotIn('PASSWORD', answer.text)
        answer = self.now(failure=asked.NotExamined('secret-host is old'))
        self.assertIn('secret-host', answer.text)

    def test_untagged(self):
        plain = dataclasses.replace(
            test_servers.server(UNTAGGED), extra_specs={}
        )
        self.seen = test_servers.cloud(plain)
        self.assertError(409, 'not_tagged', self.now(uuid=UNTAGGED))

    def test_one_at_a_time_for_each_server(self):
        servers = Servers(self.seen)
        servers.gate.clear()
        made = app.make(fakes.parts(self.seen, servers=servers))

        async def run():
            async with (
                httpx.AsyncClient(
                    transport=httpx.ASGITransport(made),
                    base_url='http://api',
                    headers={'X-Auth-Token': 'admin'},
                ) as client,
                anyio.create_task_group() as group,
            ):
                path = f'/v1/servers/%s/evidence{self.QUERY}'
                first = []

                async def ask():
                    first.append(await client.get(path % A))

                group.start_soon(ask)
                with anyio.fail_after(20):
                    while not servers.called:
                        await anyio.sleep(0.01)
                answer = await client.get(path % A)
                self.assertError(429, 'busy', answer)
                self.assertEqual('2', answer.headers['Retry-After'])
                other = client.get(path % B)
                servers.gate.set()
                self.assertEqual(200, (await other).status_code)
            self.assertEqual(200, first[0].status_code)
            self.assertEqual([A, B], servers.called)

        anyio.run(run)


class NewestTest(TestCase):
    """Without a nonce the log is read."""

    def test_who_reads_what(self):
        def newest(uuid, audience):
            return bundle(uuid, audience, None)

        for token, audience in (('admin', 'operator'), ('owner', 'owner')):
            found = self.found(token, newest_statement=newest)
            self.assertEqual(audience, found['audience'])
            question.check(found['bundle'], A, statement.Audience(audience))

    def test_none(self):
        found = self.found('owner', newest_statement=lambda *_: None)
        self.assertEqual((None, 'none'), (found['bundle'], found['code']))
        self.assertIn('has no statement', found['detail'])

    def test_a_log_that_cannot_be_read(self):
        def away(*_):
            raise ConnectionError('attestd-1 refused')

        for newest in (
            None,
            away,
            lambda *_: {'envelope': {}, 'receipt': None},
            lambda *_: bundle(B),
        ):
            for token in ('admin', 'owner'):
                answer = self.ask(token, newest_statement=newest)
                self.assertError(502, 'log_unread', answer)
            self.assertNotIn('attestd-1', answer.text)

    def test_what_is_for_others_is_not_passed_on(self):
        answer = self.ask('owner', newest_statement=lambda *_: bundle())
        self.assertError(502, 'log_unread', answer)
        self.assertNotIn('payload', answer.text)


#: What Nova sends.
BODY = {
    'project-id': 'p1',
    'instance-id': A,
    'image-id': B,
    'user-data': None,
    'hostname': 'vm',
    'metadata': {},
    'boot-roles': 'member,reader',
}


class VendordataTest(TestCase):
    def post(self, token='service', body=BODY, **more):
        client = fakes.client(self.seen, token, **more)
        return client.post('/v1/vendordata', json=body)

    def reason(self, **more):
        answer = self.post(**more)
        self.assertEqual(200, answer.status_code, answer.text)
        self.assertIsNone(answer.json()['evidence'])
        self.assertNotIn('attestd-1', answer.text)
        return answer.json()['reason']

    def test_newest_for_the_owner(self):
        seen = []

        def newest(uuid, audience):
            seen.append((uuid, audience))
            return bundle(uuid, audience)

        for token in ('service', 'admin'):
            found = self.post(token, newest_statement=newest).json()
            self.assertEqual('', found['reason'])
            question.check(found['evidence'], A, statement.Audience.OWNER)
        self.assertEqual({(A, statement.Audience.OWNER)}, set(seen))

    def test_only_nova(self):
        for token in ('owner', 'auditor', 'other', 'nobody'):
            self.assertError(403, 'forbidden', self.post(token))
        self.assertError(401, 'unauthorized', self.post(''))

    def test_nothing_of_others(self):
        for other in (
            bundle(B, statement.Audience.OWNER),
            bundle(A, statement.Audience.OPERATOR),
        ):
            self.assertIn(
                'something else',
                self.reason(newest_statement=lambda *_, other=other: other),
            )

    def test_none(self):
        self.assertIn(
            'ask the metadata service',
            self.reason(newest_statement=lambda *_: None),
        )
        self.assertIn('keeps no statements', self.reason())

    def test_a_log_that_cannot_be_read(self):
        def away(*_):
            raise ConnectionError('attestd-1 refused')

        self.assertIn('cannot be read now', self.reason(newest_statement=away))

    def test_a_log_that_hangs(self):
        gate = threading.Event()
        self.addCleanup(gate.set)
        original = vendordata._LOG_SECONDS
        self.addCleanup(setattr, vendordata, '_LOG_SECONDS', original)
        vendordata._LOG_SECONDS = 0.2
        self.assertIn(
            'cannot be read now',
            self.reason(newest_statement=lambda *_: gate.wait(20)),
        )

    def test_malformed(self):
        for body in (None, [], {}, {'instance-id': 7}, {'instance-id': 'x'}):
            self.assertError(400, 'bad_request', self.post(body=body))
        self.assertError(
            413,
            'too_large',
            self.post(body=dict(BODY, metadata={'a': 'x' * 2**20})),
        )
