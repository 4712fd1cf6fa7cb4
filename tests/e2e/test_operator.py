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

"""nova-isolation-api on a real cloud: who sees what, and what it reports."""

import json

import requests

from lab.config import site as sites
from lab.daemons import isolation_api
from lab.daemons import mariadb
from tests.e2e import base
from tests.e2e import operators

#: Much longer than [isolation_api] picture_max_age of the test.
_SECONDS = 180.0
_FLAVOR_PATH = '/v1/flavors/{}/explain'


class AnonymousTest(operators.TestCase):
    """Without a token there is only what says which service this is."""

    def anonymous(self, path: str, token: str | None = None) -> int:
        with requests.Session() as session:
            session.trust_env = False
            headers = {'X-Auth-Token': token} if token else {}
            answer = session.get(self.url + path, headers=headers, timeout=60)
        return answer.status_code

    def test_needs_no_token(self) -> None:
        for path in ('/', '/healthcheck'):
            self.assertLess(self.anonymous(path), 400, path)

    def test_needs_a_token(self) -> None:
        for token in (None, 'no-token'):
            for path in (
                '/v1/hosts',
                f'/v1/hosts/{base.HARDENED}',
                '/v1/flavors',
                '/v1/servers',
                '/v1/audit',
                '/metrics',
            ):
                # Nobody gets metrics here: they have a listener of their own.
                wanted = 404 if path == '/metrics' else 401
                self.assertEqual(wanted, self.anonymous(path, token), path)


class HostsTest(operators.TestCase):
    """What an auditor sees of the hosts, and nobody else but an admin."""

    def test_the_auditor_sees_each_host(self) -> None:
        for user in (sites.AUDITOR, sites.ADMIN):
            hosts = {
                one['host']: one
                for one in self.ask(user, '/v1/hosts')['hosts']
            }
            self.assertEqual({base.HARDENED, base.PLAIN}, set(hosts))
            for one in hosts.values():
                self.assertTrue(one['guarded'] and one['fresh'], one)
                self.assertEqual('enforce', one['mode'])
                self.assertEqual('', one['state'])
                self.assertNotIn('facts', one)
            self.assertIn(
                'isolation:qemu_sandbox', hosts[base.HARDENED]['offers']
            )
            refused = hosts[base.PLAIN]['refuses']['isolation:qemu_sandbox']
            self.assertEqual('isolation.qemu.no_sandbox', refused['code'])

    def test_one_host_has_facts(self) -> None:
        host = self.ask(sites.AUDITOR, f'/v1/hosts/{base.PLAIN}')['host']
        self.assertEqual(base.PLAIN, host['host'])
        self.assertTrue(host['facts'])

    def test_unknown_host(self) -> None:
        self.assertError(404, self.get(sites.AUDITOR, '/v1/hosts/cpu-none'))

    def test_pages(self) -> None:
        first = self.ask(sites.AUDITOR, '/v1/hosts', limit='1')
        self.assertEqual(1, len(first['hosts']))
        (link,) = first['hosts_links']
        self.assertEqual('next', link['rel'])
        second = self.ask(
            sites.AUDITOR, '/v1/hosts', marker=first['hosts'][0]['host']
        )
        self.assertEqual(1, len(second['hosts']))
        self.assertNotEqual(first['hosts'], second['hosts'])

    def test_members_of_projects_see_none(self) -> None:
        flavor = self.flavor(operators.SANDBOX)
        for user in (sites.OWNER, sites.STRANGER):
            for path in (
                '/v1/hosts',
                f'/v1/hosts/{base.HARDENED}',
                '/v1/flavors',
                _FLAVOR_PATH.format(flavor.id),
                '/v1/audit',
            ):
                self.assertError(403, self.get(user, path))


class ExplainTest(operators.TestCase):
    """The service explains as the scheduler decides."""

    def test_a_flavor(self) -> None:
        flavor = self.flavor(operators.SANDBOX)
        self.wait_ok(_FLAVOR_PATH.format(flavor.id))
        for name in (flavor.id, flavor.name):
            told = self.ask(sites.AUDITOR, _FLAVOR_PATH.format(name))
            explanation = told['explanation']
            self.assertTrue(explanation['usable'])
            counts = explanation['counts']
            self.assertEqual(2, counts['hosts'])
            self.assertEqual(1, counts['accepted'])
            self.assertEqual(
                {'isolation.qemu.no_sandbox': 1}, counts['by_code']
            )
            accepted = {
                one['host']: one['accepted'] for one in explanation['hosts']
            }
            self.assertEqual(
                {base.HARDENED: True, base.PLAIN: False}, accepted
            )
        self.assertActive(self.boot_flavor(flavor), base.HARDENED)

    def test_what_if(self) -> None:
        answer = self.sessions[sites.AUDITOR].post(
            '/v1/explain',
            json={'extra_specs': {'isolation:svirt': 'selinux'}},
            endpoint_filter={'service_type': sites.OPERATOR_API},
        )
        explanation = answer.json()['explanation']
        self.assertIsNone(explanation['flavor'])
        self.assertFalse(explanation['usable'])
        self.assertEqual(
            {'isolation.svirt.no_model': 2}, explanation['counts']['by_code']
        )


class ServersTest(operators.TestCase):
    """A server is seen by its owner, admins and auditors."""

    def test_who_sees_what(self) -> None:
        server = self.boot_as_owner(operators.SANDBOX)
        path = f'/v1/servers/{server.id}'
        for user in (sites.ADMIN, sites.AUDITOR):
            seen = self.ask(user, path)['server']
            self.assertEqual(base.HARDENED, seen['host'])
            self.assertEqual('good', seen['host_standing'])
            self.assertEqual(operators.SANDBOX, seen['extra_specs'])
            self.assertIn(
                ('isolation_verify', 'Success'),
                [
                    (one['event'], one['result'])
                    for one in seen['verifications']
                ],
            )
        answer = self.get(sites.OWNER, path)
        self.assertEqual(200, answer.status_code, answer.text)
        own = answer.json()['server']
        self.assertEqual(server.id, own['id'])
        self.assertIsNone(own['host'])
        self.assertTrue(own['verifications'])
        for one in own['verifications']:
            self.assertIsNone(one['details'])
        for name in self.cloud.hosts:
            self.assertNotIn(name, answer.text)
        self.assertError(404, self.get(sites.STRANGER, path))

    def test_lists(self) -> None:
        server = self.boot_as_owner(operators.SANDBOX)
        for user, parameters, wanted in (
            (sites.OWNER, {}, True),
            (sites.STRANGER, {}, False),
            (sites.AUDITOR, {'all_projects': 'true'}, True),
            (sites.ADMIN, {'all_projects': 'true'}, True),
        ):
            told = self.ask(user, '/v1/servers', **parameters)['servers']
            found = [one['id'] for one in told]
            self.assertEqual(wanted, server.id in found, user)
        for user in (sites.OWNER, sites.STRANGER):
            self.assertError(
                403, self.get(user, '/v1/servers', all_projects='true')
            )

    def test_an_unknown_server_is_as_another_projects(self) -> None:
        server = self.boot_as_owner(operators.SANDBOX)
        told = [
            self.get(sites.STRANGER, f'/v1/servers/{one}').json()['errors'][0]
            for one in (server.id, '0' * 8 + server.id[8:])
        ]
        for one in told:
            one.pop('request_id')
        self.assertEqual(
            json.dumps(told[0]).replace(server.id, 'ID'),
            json.dumps(told[1]).replace('0' * 8 + server.id[8:], 'ID'),
        )

    def test_now(self) -> None:
        server = self.boot_as_owner(operators.SANDBOX)
        path = f'/v1/servers/{server.id}'
        for user in (sites.ADMIN, sites.AUDITOR):
            seen = self.ask(user, path, now='true')['server']
            self.assertTrue(seen['read_back']['verified'], seen)
            self.assertEqual([], seen['read_back']['unmet'])
        self.assertError(403, self.get(sites.OWNER, path, now='true'))
        self.assertError(404, self.get(sites.STRANGER, path, now='true'))


class DatabaseAwayTest(operators.TestCase):
    """Without its databases the service says so, and comes back by itself."""

    def root(self, statement: str) -> None:
        mariadb.root(self.cloud.supervisor, self.cloud.site, statement)

    def wait_status(self, status: int) -> requests.Response:
        """Wait until the service answers about hosts with this status."""
        answer = self.get(sites.AUDITOR, '/v1/hosts')

        def reached() -> bool:
            nonlocal answer
            answer = self.get(sites.AUDITOR, '/v1/hosts')
            return answer.status_code == status

        self.cloud.supervisor.wait(
            f'HTTP {status}',
            reached,
            _SECONDS,
            every=1,
            instead=lambda: answer.text,
        )
        return answer

    def test_away(self) -> None:
        self.restart(isolation_api.NAME, 'isolation_api', picture_max_age='20')
        # This takes the databases from nobody else.
        account = f"'{sites.OPERATOR_API}'@'{sites.LOCALHOST}'"
        self.wait_status(200)
        self.addCleanup(self.wait_status, 200)
        self.addCleanup(self.root, f'alter user {account} account unlock')
        self.root(f'alter user {account} account lock; kill user {account}')
        away = self.wait_status(503)
        flavors = self.get(sites.AUDITOR, '/v1/flavors')
        audit = self.get(sites.AUDITOR, '/v1/audit')
        servers = self.get(sites.AUDITOR, '/v1/servers', all_projects='true')
        secret = self.cloud.site.passwords[f'{sites.OPERATOR_API}-mariadb']
        for answer in (away, flavors, audit, servers):
            self.assertError(503, answer)
            self.assertNotIn(secret, answer.text)
        # Who may not ask is not told more than before.
        self.assertError(403, self.get(sites.OWNER, '/v1/hosts'))
