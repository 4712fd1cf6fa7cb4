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

"""A small cloud over HTTP: Keystone, Nova, placement and the service.

As much of each as the commands of ``openstack`` ask, on one port.
"""

import collections
import contextlib
import io
import logging
import re
import socket
import threading
import time

import fixtures
from openstackclient import shell
from osc_lib import clientmanager
from starlette import applications
from starlette import responses
from starlette import routing
import uvicorn

from nova_isolation.mechanisms import registry
from nova_isolation.model import requirements

PROJECT = 'a' * 32
USER = 'b' * 32

Result = collections.namedtuple('Result', 'status stdout stderr')


def uuid(number):
    """A UUID."""
    return f'00000000-0000-4000-8000-{number:012}'


async def _drop(message):
    pass


class Served(fixtures.Fixture):
    """An ASGI application at an address of its own.

    :ivar url: the address
    """

    def __init__(self, application):
        self._application = application

    def _setUp(self):
        listener = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(listener.close)
        self.url = f'http://127.0.0.1:{listener.getsockname()[1]}'
        server = uvicorn.Server(
            uvicorn.Config(
                self._application,
                log_config=None,
                log_level='critical',
                lifespan='off',
            )
        )
        thread = threading.Thread(
            target=server.run, kwargs={'sockets': [listener]}, daemon=True
        )
        thread.start()
        self.addCleanup(thread.join, 10)
        self.addCleanup(setattr, server, 'should_exit', True)
        limit = time.monotonic() + 30
        while not server.started:
            if time.monotonic() > limit:
                raise TimeoutError('the server does not start')
            time.sleep(0.01)


class Cloud(fixtures.Fixture):
    """The cloud.

    :ivar flavors: ID -> {'name', 'extra_specs'}
    :ivar hosts: what the service says of the hosts
    :ivar explain: function of extra specs -> explanation
    :ivar servers: what the service says of servers, by ID
    :ivar findings: those of the audit
    :ivar traits: UUID of a provider -> its traits
    :ivar hypervisors: what Nova says of hosts
    :ivar broken: (method, pattern of a path) -> HTTP status; a negative one
        is that of a proxy, which loses the answer of the server
    :ivar away_after: the one of these after which nothing works any more
    :ivar unread: the cells that the service could not read
    :ivar asked: (method, path, query, microversion) of each request
    :ivar catalog: the endpoint of the service; None: not in the catalog
    """

    def _setUp(self):
        self.flavors = {}
        self.hosts = []
        self.explain = None
        self.servers = {}
        #: id -> the evidence about a server, and the nonces of the questions
        self.statements = {}
        self.nonces = []
        self.findings = []
        self.traits = {}
        self.hypervisors = []
        self.broken = {}
        self.asked = []
        self.unread = []
        self.away_after = None
        self._is_away = False
        self.url = self.useFixture(
            Served(self._outermost(self._application()))
        ).url
        self.catalog = f'{self.url}/isolation'

    def environment(self):
        """The environment variables of ``openstack``."""
        return {
            'OS_AUTH_URL': f'{self.url}/identity/v3',
            'OS_USERNAME': 'admin',
            'OS_PASSWORD': 'secret',
            'OS_PROJECT_NAME': 'admin',
            'OS_USER_DOMAIN_ID': 'default',
            'OS_PROJECT_DOMAIN_ID': 'default',
            'OS_REGION_NAME': 'RegionOne',
            'OS_COMPUTE_API_VERSION': '2.1',
            'no_proxy': '127.0.0.1',
        }

    def writes(self):
        """The requests that would change something."""
        return [
            (method, path.rpartition('/compute/v2.1')[2], microversion)
            for method, path, _, microversion in self.asked
            if method != 'GET' and path.startswith('/compute')
        ]

    def _outermost(self, application):
        async def call(scope, receive, send):
            headers = dict(scope.get('headers') or ())
            microversion = headers.get(b'openstack-api-version', b'').decode()
            path = scope['path']
            self.asked.append(
                (
                    scope['method'],
                    path,
                    scope['query_string'].decode(),
                    microversion.rpartition(' ')[2],
                )
            )
            if self._is_away:
                answer = responses.PlainTextResponse('away', 503)
                return await answer(scope, receive, send)
            for (method, pattern), status in self.broken.items():
                if method == scope['method'] and re.search(pattern, path):
                    self._is_away = (method, pattern) == self.away_after
                    if status < 0:
                        # The answer is lost, what was asked is done.
                        await application(scope, receive, _drop)
                    answer = responses.PlainTextResponse('oops', abs(status))
                    return await answer(scope, receive, send)
            return await application(scope, receive, send)

        return call

    def _application(self):
        v3, nova = '/identity/v3', '/compute/v2.1'
        specs = nova + '/flavors/{id}/os-extra_specs'
        isolation = '/isolation/v1'
        get = [
            (v3, self._identity),
            (nova, self._compute),
            (nova + '/', self._compute),
            (nova + '/flavors', self._flavors),
            (nova + '/flavors/detail', self._flavors),
            (nova + '/flavors/{id}', self._flavor),
            (specs, self._extra_specs),
            (nova + '/os-hypervisors/detail', self._hypervisors),
            (nova + '/servers/detail', self._servers),
            (nova + '/servers/{id}', self._nova_server),
            ('/placement', self._placement),
            ('/placement/', self._placement),
            ('/placement/traits', self._traits),
            ('/placement/resource_providers', self._providers),
            (isolation + '/hosts', self._list_hosts),
            (isolation + '/hosts/{id}', self._host),
            (isolation + '/flavors', self._tagged),
            (isolation + '/flavors/{id}/explain', self._explain_flavor),
            (isolation + '/servers', self._list_servers),
            (isolation + '/servers/{id}', self._server),
            (isolation + '/servers/{id}/evidence', self._evidence),
            (isolation + '/audit', self._audit),
        ]
        change = [
            ('POST', v3 + '/auth/tokens', self._token),
            ('POST', specs, self._add),
            ('DELETE', specs + '/{key}', self._remove),
            ('POST', isolation + '/explain', self._what_if),
        ]
        return applications.Starlette(
            routes=[
                *(routing.Route(path, handler) for path, handler in get),
                *(
                    routing.Route(path, handler, methods=[method])
                    for method, path, handler in change
                ),
            ]
        )

    async def _identity(self, request):
        link = {'rel': 'self', 'href': f'{self.url}/identity/v3/'}
        return responses.JSONResponse(
            {'version': {'id': 'v3.14', 'status': 'stable', 'links': [link]}}
        )

    async def _token(self, request):
        services = {
            'compute': f'{self.url}/compute/v2.1',
            'placement': f'{self.url}/placement',
            'identity': f'{self.url}/identity/v3',
        }
        if self.catalog:
            services['isolation'] = self.catalog
        catalog = [
            {
                'id': kind,
                'type': kind,
                'name': kind,
                'endpoints': [
                    {
                        'id': kind,
                        'interface': 'public',
                        'region': 'RegionOne',
                        'region_id': 'RegionOne',
                        'url': url,
                    }
                ],
            }
            for kind, url in services.items()
        ]
        domain = {'id': 'default', 'name': 'Default'}
        token = {
            'methods': ['password'],
            'user': {'id': USER, 'name': 'admin', 'domain': domain},
            'project': {'id': PROJECT, 'name': 'admin', 'domain': domain},
            'roles': [{'id': 'c', 'name': 'admin'}],
            'catalog': catalog,
            'issued_at': '2026-01-01T00:00:00.000000Z',
            'expires_at': '2099-01-01T00:00:00.000000Z',
        }
        return responses.JSONResponse(
            {'token': token}, 201, {'X-Subject-Token': 'token'}
        )

    async def _compute(self, request):
        version = {
            'id': 'v2.1',
            'status': 'CURRENT',
            'version': '2.100',
            'min_version': '2.1',
            'links': [{'rel': 'self', 'href': f'{self.url}/compute/v2.1/'}],
        }
        return responses.JSONResponse({'version': version})

    def _shown_flavor(self, key):
        return {'id': key, 'name': self.flavors[key]['name'], 'links': []}

    async def _flavors(self, request):
        return responses.JSONResponse(
            {'flavors': [self._shown_flavor(key) for key in self.flavors]}
        )

    async def _flavor(self, request):
        key = request.path_params['id']
        if key not in self.flavors:
            return responses.JSONResponse({'itemNotFound': {}}, 404)
        return responses.JSONResponse({'flavor': self._shown_flavor(key)})

    async def _extra_specs(self, request):
        flavor = self.flavors[request.path_params['id']]
        return responses.JSONResponse({'extra_specs': flavor['extra_specs']})

    async def _add(self, request):
        body = await request.json()
        given = request.headers.get('openstack-api-version', 'compute 2.1')
        version = tuple(map(int, given.split()[1].split('.')))
        if version >= (2, 86):
            known = registry.get().vocabulary
            for key, value in body['extra_specs'].items():
                problems = requirements.parse({key: value}, known).problems
                for problem in problems:
                    # Nova looks at one key at a time.
                    if problem.code != 'isolation.spec.conflict':
                        message = f'Validation failed; {problem}'
                        return responses.JSONResponse(
                            {'badRequest': {'message': message}}, 400
                        )
        self.flavors[request.path_params['id']]['extra_specs'].update(
            body['extra_specs']
        )
        return responses.JSONResponse(body)

    async def _remove(self, request):
        flavor = self.flavors[request.path_params['id']]
        found = flavor['extra_specs'].pop(request.path_params['key'], None)
        return responses.Response(None, 200 if found else 404)

    async def _hypervisors(self, request):
        return responses.JSONResponse({'hypervisors': self.hypervisors})

    async def _servers(self, request):
        return responses.JSONResponse(
            {
                'servers': [
                    {'id': one['id'], 'name': one['name']}
                    for one in self.servers.values()
                ]
            }
        )

    async def _nova_server(self, request):
        one = self.servers.get(request.path_params['id'])
        if one is None:
            return responses.JSONResponse({'itemNotFound': {}}, 404)
        return responses.JSONResponse(
            {
                'server': {
                    'id': one['id'],
                    'name': one['name'],
                    'OS-EXT-SRV-ATTR:host': one['host'],
                    'OS-EXT-STS:vm_state': one['vm_state'],
                    'flavor': {
                        'original_name': 'f',
                        'extra_specs': one['extra_specs'],
                    },
                }
            }
        )

    async def _placement(self, request):
        version = {
            'id': 'v1.0',
            'status': 'CURRENT',
            'max_version': '1.39',
            'min_version': '1.0',
            'links': [{'rel': 'self', 'href': ''}],
        }
        return responses.JSONResponse({'versions': [version]})

    async def _traits(self, request):
        found = sorted({t for has in self.traits.values() for t in has})
        return responses.JSONResponse({'traits': found})

    async def _providers(self, request):
        wanted = request.query_params['required']
        return responses.JSONResponse(
            {
                'resource_providers': [
                    {'uuid': key, 'name': key}
                    for key, has in self.traits.items()
                    if wanted in has
                ]
            }
        )

    def _paged(self, request, key, items, name):
        marker = request.query_params.get('marker')
        names = [item[name] for item in items]
        begin = names.index(marker) + 1 if marker else 0
        limit = min(int(request.query_params.get('limit', 1000)), 400)
        page = items[begin : begin + limit]
        answer = {key: page, f'{key}_links': [], 'unread_cells': self.unread}
        if begin + limit < len(items):
            # The address is another one: a token must not be sent there.
            answer[f'{key}_links'] = [
                {
                    'rel': 'next',
                    'href': f'http://192.0.2.1/?marker={page[-1][name]}',
                }
            ]
        return answer

    async def _list_hosts(self, request):
        listed = [
            {k: v for k, v in host.items() if k != 'facts'}
            for host in self.hosts
        ]
        return responses.JSONResponse(
            self._paged(request, 'hosts', listed, 'host')
        )

    def _unknown(self, what):
        return responses.JSONResponse(
            {
                'errors': [
                    {
                        'request_id': 'req-1',
                        'code': f'isolation.api.{what}_not_found',
                        'status': 404,
                        'title': 'Not found',
                        'detail': f'There is no such {what}.',
                        'links': [],
                    }
                ]
            },
            404,
        )

    async def _host(self, request):
        for host in self.hosts:
            if host['host'] == request.path_params['id']:
                return responses.JSONResponse({'host': host})
        return self._unknown('host')

    async def _tagged(self, request):
        return responses.JSONResponse({'flavors': []})

    def _explanation(self, request, specs, flavor):
        explanation = self.explain(specs)
        explanation['flavor'] = flavor
        explanation.update(
            self._paged(request, 'hosts', explanation['hosts'], 'host')
        )
        return responses.JSONResponse({'explanation': explanation})

    async def _explain_flavor(self, request):
        for key, flavor in self.flavors.items():
            if request.path_params['id'] in (key, flavor['name']):
                return self._explanation(
                    request, flavor['extra_specs'], flavor['name']
                )
        return self._unknown('flavor')

    async def _what_if(self, request):
        body = await request.json()
        return self._explanation(request, body['extra_specs'], None)

    async def _list_servers(self, request):
        return responses.JSONResponse({'servers': list(self.servers.values())})

    async def _server(self, request):
        one = self.servers.get(request.path_params['id'])
        if one is None:
            return self._unknown('server')
        shown = dict(one, examined=request.query_params.get('now'))
        return responses.JSONResponse({'server': shown})

    async def _evidence(self, request):
        one = self.statements.get(request.path_params['id'])
        if one is None:
            return self._unknown('server')
        self.nonces.append(request.query_params.get('nonce'))
        return responses.JSONResponse({'evidence': one})

    async def _audit(self, request):
        checked = {'hosts': len(self.hosts), 'flavors': 1, 'servers': 2}
        return responses.JSONResponse(
            {'audit': {'checked': checked, 'findings': self.findings}}
        )


class Openstack(fixtures.Fixture):
    """The ``openstack`` command, in this process."""

    def __init__(self, environment):
        self._environment = environment

    def _setUp(self):
        home = self.useFixture(fixtures.TempDir()).path
        for name, value in {
            'HOME': home,
            'XDG_CONFIG_HOME': home,
            'OS_CLOUD': None,
            'OS_ISOLATION_PROFILES': None,
            **self._environment,
        }.items():
            self.useFixture(fixtures.EnvironmentVariable(name, value))
        # osc-lib keeps the client of a plugin as long as the process lives.
        kept = vars(clientmanager.ClientManager)['isolation']
        self.useFixture(
            fixtures.MockPatchObject(kept, '_handle', new_callable=type(None))
        )

    def __call__(self, *arguments):
        """Run a command.

        :returns: its exit status and what it printed
        """
        stdout, stderr = io.StringIO(), io.StringIO()
        root = logging.getLogger()
        kept = root.handlers[:], root.level
        root.handlers[:] = []
        try:
            with (
                contextlib.redirect_stdout(stdout),
                contextlib.redirect_stderr(stderr),
            ):
                try:
                    status = shell.main(list(arguments))
                except SystemExit as error:
                    status = error.code
        finally:
            root.handlers[:], level = kept
            root.setLevel(level)
        return Result(status, stdout.getvalue(), stderr.getvalue())


def host(number, **more):
    """What the service says of a host that meets selinux."""
    return {
        'host': f'compute{number:04}',
        'uuid': uuid(number),
        'cell': 'cell1',
        'state': '',
        'guarded': True,
        'mode': 'enforce',
        'schema': 7,
        'measured_at': '2026-11-26T12:00:00Z',
        'age_seconds': 12,
        'fresh': True,
        'traits': ['CUSTOM_ISOLATION_GUARDED'],
        'offers': {
            'isolation:hypervisor': ['kvm'],
            'isolation:svirt': ['any', 'selinux'],
            'isolation:qemu_absent': ['a', 'b', 'c', 'd'],
        },
        'refuses': {
            'isolation:qemu_sandbox': {
                'value': 'true',
                'code': 'isolation.qemu.sandbox_off',
                'wanted': 'true',
                'found': 'no sandbox',
                'remedy': 'Set seccomp_sandbox in qemu.conf.',
            }
        },
        'attestation': None,
        'violations': [],
        'facts': {'svirt': {'model': 'selinux'}},
        **more,
    }


def explanation(hosts, extra_specs, **more):
    """What the service says of a flavor.

    :param hosts: host -> reason code of its refusal; '' where it accepts
    """
    answers = [
        {
            'host': name,
            'state': '',
            'accepted': not code,
            'usable': not code,
            'unmet': [
                {
                    'code': code,
                    'key': 'isolation:svirt',
                    'wanted': 'selinux',
                    'found': 'apparmor',
                    'remedy': 'Load SELinux.',
                }
            ]
            if code
            else [],
        }
        for name, code in hosts.items()
    ]
    accepted = sum(one['accepted'] for one in answers)
    return {
        'flavor': None,
        'mode': 'enforce',
        'extra_specs': extra_specs,
        'near_misses': {},
        'usable': bool(accepted),
        'counts': {
            'hosts': len(answers),
            'accepted': accepted,
            'usable': accepted,
            'refused': len(answers) - accepted,
            'by_code': dict(collections.Counter(filter(None, hosts.values()))),
        },
        'hosts': answers,
        **more,
    }


def hypervisor(number, **more):
    """What Nova says of a host."""
    return {
        'id': uuid(number),
        'hypervisor_hostname': f'node{number}.example.org',
        'state': 'up',
        'status': 'enabled',
        'service': {
            'host': f'compute{number:04}',
            'id': uuid(number),
            'disabled_reason': None,
        },
        **more,
    }
