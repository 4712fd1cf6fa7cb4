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

"""The calls about servers: who reads what, and what hosts answer."""

import dataclasses
import json
import time

from starlette import testclient

from nova_isolation.model import examination
from nova_isolation.model import reasons
from nova_isolation.report import asked
from nova_isolation.report import server as servers
from nova_isolation.service import app
from tests.unit import base
from tests.unit.service import fakes

A = '11111111-1111-4111-8111-111111111111'
B = '22222222-2222-4222-8222-222222222222'
UNTAGGED = '33333333-3333-4333-8333-333333333333'
NONE = '44444444-4444-4444-8444-444444444444'
SVIRT, SANDBOX = 'isolation:svirt', 'isolation:qemu_sandbox'
SECRET = 'runs /usr/bin/qemu, host secret-host'
AT = '2026-11-26T12:00:00Z'
READ = examination.Examination(
    AT,
    (
        examination.Read(SVIRT, SECRET),
        examination.Read(SANDBOX, 'Seccomp: 2'),
    ),
)
VERIFIED = servers.Event(
    servers.VERIFY, 'Success', AT, 'req-1', json.dumps(READ.dump())
)


def server(uuid=A, project='p1', host='secret-host', events=(VERIFIED,)):
    return servers.Server(
        uuid,
        f'name-{uuid[0]}',
        project,
        host,
        'active',
        'm1.secure',
        {SVIRT: 'any', SANDBOX: 'true', 'hw:cpu_policy': 'shared'},
        events=tuple(events),
    )


def cloud(*more, node=None, **first):
    return fakes.cloud(
        [node or fakes.node('secret-host')],
        servers=[server(**first), server(B, 'p2'), *more],
    )


class TestCase(base.TestCase):
    def assertError(self, status, code, response):
        self.assertEqual(status, response.status_code, response.text)
        (error,) = response.json()['errors']
        self.assertEqual(f'isolation.api.{code}', error['code'])

    def show(self, token='admin', query='', uuid=A, seen=None, **more):
        client = fakes.client(seen or cloud(), token, **more)
        return client.get(f'/v1/servers/{uuid}{query}')


class OwnerTest(TestCase):
    def test_of_whom(self):
        for token in ('admin', 'auditor', 'owner'):
            self.assertEqual(200, self.show(token).status_code)
        # Another project's looks as one that does not exist.
        texts = []
        for token, uuid in (
            ('other', A),
            ('nobody', A),
            ('domain', A),
            ('owner', B),
            ('owner', NONE),
        ):
            answer = self.show(token, uuid=uuid)
            self.assertError(404, 'not_found', answer)
            detail = answer.json()['errors'][0]['detail']
            texts.append(detail.replace(uuid, 'ID'))
        self.assertEqual(1, len(set(texts)), texts)
        self.assertError(401, 'unauthorized', self.show(''))
        for uuid in ('x', 'x' * 5000, '%00', '..%2f'):
            answer = self.show(uuid=uuid)
            self.assertEqual(404, answer.status_code, answer.text)

    def test_what_admins_read(self):
        for token in ('admin', 'auditor'):
            found = self.show(token).json()['server']
            self.assertEqual('secret-host', found['host'])
            self.assertEqual('good', found['host_standing'])
            self.assertEqual(
                {SVIRT: 'any', SANDBOX: 'true'}, found['extra_specs']
            )
            self.assertEqual(
                [(SANDBOX, 'true', 'qemu'), (SVIRT, 'any', 'svirt')],
                [
                    (one['key'], one['value'], one['mechanism'])
                    for one in found['asked']
                ],
            )
            self.assertEqual(
                (AT, True),
                (found['read_back']['at'], found['read_back']['verified']),
            )
            self.assertIn(SECRET, str(found['read_back']['proofs']))
            (one,) = found['verifications']
            self.assertEqual(
                ('isolation_verify', 'Success', 'req-1'),
                (one['event'], one['result'], one['request_id']),
            )
            self.assertIn(SECRET, one['details'])

    def test_what_owners_read(self):
        failed = servers.Event(
            servers.REVERIFY,
            'Error',
            AT,
            'req-2',
            'isolation:svirt: wanted any, found secret [isolation.svirt.off]',
        )
        seen = cloud(events=[failed, VERIFIED])
        answer = self.show('owner', seen=seen)
        self.assertNotIn('secret', answer.text)
        found = answer.json()['server']
        self.assertIsNone(found['host'])
        self.assertFalse(found['read_back']['verified'])
        self.assertEqual(
            ['isolation.svirt.off'],
            [one['code'] for one in found['read_back']['unmet']],
        )
        self.assertEqual(
            [['isolation.svirt.off'], []],
            [one['codes'] for one in found['verifications']],
        )
        listed = fakes.client(seen, 'owner').get('/v1/servers')
        self.assertNotIn('secret', listed.text)
        self.assertIn('secret', self.show('admin', seen=seen).text)
        # Of proofs the owner reads what is proven.
        found = self.show('owner').json()['server']
        self.assertEqual(
            {(SVIRT, None), (SANDBOX, None)},
            {
                (one['requirement'], one['read'])
                for one in found['read_back']['proofs']
            },
        )

    def test_list(self):
        def ids(token, query=''):
            answer = fakes.client(cloud(), token).get(f'/v1/servers{query}')
            self.assertEqual(200, answer.status_code, answer.text)
            return [one['id'] for one in answer.json()['servers']]

        self.assertEqual([A], ids('owner'))
        self.assertEqual([B], ids('other'))
        # A token of the system is of no project.
        self.assertEqual([A, B], ids('auditor'))
        self.assertEqual([], ids('admin'))
        self.assertEqual([A, B], ids('admin', '?all_projects=true'))
        self.assertEqual([A], ids('admin', '?all_projects=true&limit=1'))
        self.assertEqual([B], ids('admin', f'?all_projects=true&marker={A}'))
        for token, query in (
            ('owner', '?all_projects=true'),
            ('nobody', ''),
            ('domain', ''),
            ('domain', '?all_projects=true'),
        ):
            self.assertError(
                403,
                'forbidden',
                fakes.client(cloud(), token).get(f'/v1/servers{query}'),
            )
        self.assertError(
            400,
            'bad_request',
            fakes.client(cloud()).get('/v1/servers?all_projects=yes'),
        )

    def test_database_away(self):
        class Away(fakes.Servers):
            def find(self, uuid):
                raise ConnectionError('mysql://nova:PASSWORD@db')

        # What was read last is told with its age; it names every server of a
        # tagged flavor.
        seen = cloud()
        parts = fakes.parts(seen, servers=Away(None))
        parts.keeper._clock = lambda: time.monotonic() + 7
        client = testclient.TestClient(app.make(parts))
        for token, status in (('admin', 200), ('owner', 200), ('other', 404)):
            answer = client.get(
                f'/v1/servers/{A}', headers={'X-Auth-Token': token}
            )
            self.assertEqual(status, answer.status_code, answer.text)
            self.assertNotIn('PASSWORD', answer.text)
            if status == 200:
                age = answer.json()['server']['read_age_seconds']
                self.assertGreaterEqual(age, 7)
        # Others may be there or not.
        answer = self.show(uuid=NONE, servers=Away(None))
        self.assertError(503, 'cloud_unread', answer)
        self.assertNotIn('PASSWORD', answer.text)

    def test_read_now(self):
        """A server that changed since the picture was read."""
        changed = fakes.Servers(cloud(host='another-host'))
        found = self.show(servers=changed).json()['server']
        self.assertEqual('another-host', found['host'])
        self.assertIsNone(found['read_age_seconds'])
        gone = fakes.Servers(fakes.cloud())
        self.assertError(404, 'not_found', self.show(servers=gone))


class StandingTest(TestCase):
    def test_standings(self):
        for node, wanted in (
            (fakes.node('secret-host'), 'good'),
            (fakes.node('secret-host', 'is disabled (disks)'), 'good'),
            (fakes.node('secret-host', 'is down'), 'down'),
            (fakes.node('secret-host', 'is in cell c1, which'), 'down'),
            (fakes.node('other'), 'down'),
            (fakes.node('secret-host', document=None), 'unguarded'),
            (fakes.node('secret-host', age=1000), 'stale'),
            (fakes.node('secret-host', document='{"v":9}'), 'stale'),
            (fakes.node('secret-host', mode='audit'), 'audits'),
            (fakes.node('secret-host', mode=None), 'audits'),
            (
                fakes.node(
                    'secret-host',
                    document='{"v":1,"svirt":{"violated":""}}',
                ),
                'violated',
            ),
        ):
            found = self.show(seen=cloud(node=node)).json()['server']
            self.assertEqual(wanted, found['host_standing'], node)
        found = self.show(seen=cloud(host='')).json()['server']
        self.assertIsNone(found['host_standing'])


class ReadBackTest(TestCase):
    def read_back(self, *events):
        seen = cloud(events=events)
        return self.show(seen=seen).json()['server']['read_back']

    def test_not_known(self):
        self.assertIsNone(self.read_back())
        # A host of an older release, or whatever wrote that.
        for details in ('', 'x', '[]', '{"verified":true}', '[' * 9999):
            event = dataclasses.replace(VERIFIED, details=details)
            self.assertIsNone(self.read_back(event))

    def test_requirement_that_no_proof_mentions(self):
        less = dataclasses.replace(READ, proofs=READ.proofs[:1])
        event = dataclasses.replace(VERIFIED, details=json.dumps(less.dump()))
        found = self.read_back(event)
        self.assertFalse(found['verified'])
        self.assertEqual(
            [('isolation.verify.failed', SANDBOX)],
            [(one['code'], one['key']) for one in found['unmet']],
        )

    def test_newest(self):
        refused = servers.Event('isolation_decide', 'Error', AT, '', '')
        self.assertTrue(self.read_back(refused, VERIFIED)['verified'])


class ExamineTest(TestCase):
    def examine(self, examined, token='admin', uuid=A, seen=None):
        seen = seen or cloud(events=())
        return self.show(
            token,
            '?now=true',
            uuid,
            seen,
            servers=fakes.Servers(seen, examined),
        )

    def test_good_and_bad(self):
        found = self.examine(READ).json()['server']
        self.assertTrue(found['read_back']['verified'])
        unmet = reasons.Unmet(
            reasons.VERIFY_FAILED.code, SVIRT, 'any', 'no process'
        )
        bad = dataclasses.replace(READ, proofs=(), unmet=(unmet,))
        found = self.examine(bad).json()['server']
        self.assertFalse(found['read_back']['verified'])
        self.assertIn(
            reasons.VERIFY_FAILED.remedy,
            [one['remedy'] for one in found['read_back']['unmet']],
        )
        # What the host does not mention is not proven.
        less = dataclasses.replace(READ, proofs=READ.proofs[:1])
        found = self.examine(less).json()['server']
        self.assertFalse(found['read_back']['verified'])

    def test_who(self):
        self.assertEqual(200, self.examine(READ, 'auditor').status_code)
        self.assertError(403, 'forbidden', self.examine(READ, 'owner'))
        self.assertError(404, 'not_found', self.examine(READ, 'other'))
        self.assertError(400, 'bad_request', self.show(query='?now=perhaps'))

    def test_not_examined(self):
        for failure, status, code in (
            (asked.NotRunning('off'), 409, 'not_running'),
            (asked.HostSilent('hangs'), 504, 'host_silent'),
            (asked.NotExamined('stock driver'), 502, 'not_examined'),
            (asked.NoSuchServer('gone'), 404, 'not_found'),
            (ConnectionError('PASSWORD'), 503, 'cloud_unread'),
        ):
            answer = self.examine(failure)
            self.assertError(status, code, answer)
            self.assertNotIn('PASSWORD', answer.text)
        plain = dataclasses.replace(
            server(UNTAGGED), extra_specs={'hw:cpu_policy': 'shared'}
        )
        self.assertError(
            409,
            'not_tagged',
            self.examine(READ, uuid=UNTAGGED, seen=cloud(plain)),
        )


class AuditTest(TestCase):
    def test_who_and_what(self):
        seen = cloud(node=fakes.node('secret-host', document=None))
        for token in ('admin', 'auditor'):
            answer = fakes.client(seen, token).get('/v1/audit').json()
            self.assertEqual(
                {'hosts': 1, 'flavors': 0, 'servers': 2},
                answer['audit']['checked'],
            )
            codes = [one['code'] for one in answer['audit']['findings']]
            self.assertEqual(
                ['isolation.audit.server_unguarded'] * 2
                + [
                    'isolation.audit.filter_unknown',
                    'isolation.audit.traits_unknown',
                ],
                codes,
            )
        for token in ('owner', 'other', 'nobody', 'domain'):
            self.assertError(
                403, 'forbidden', fakes.client(seen, token).get('/v1/audit')
            )
