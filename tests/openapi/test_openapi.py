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
"""The OpenAPI document describes what the service does: schemathesis asks."""

import hypothesis
import schemathesis
from starlette import routing

from nova_isolation.report import picture
from nova_isolation.service import app
from tests.unit import base
from tests.unit.service import fakes

_SEEN = fakes.cloud(
    [
        fakes.node('a'),
        fakes.node('b', 'is down', mode='audit', age=900),
        fakes.node('c', document=None),
        fakes.node('d', document='{'),
    ],
    [
        fakes.flavor('1', svirt='any', attested='true'),
        fakes.flavor('2'),
        picture.Flavor('3', 'near', {'isolation_svirt': 'any'}),
    ],
    [picture.UnreadCell('c2', 'DBConnectionError')],
)


class OpenApiTest(base.TestCase):
    """Requests that are made from the document."""

    def ask(self, seen=_SEEN, token='admin', examples=5, only='', **path):
        """Make requests of each call; the answers must be as described.

        :param examples: how many requests of each call, valid and invalid
        :param only: ask calls only whose path has this
        :param path: parameters of the path, in place of made-up ones
        :returns: the status codes of the answers
        """
        made = app.make(fakes.parts(seen))
        described = schemathesis.openapi.from_asgi('/v1/openapi.json', made)
        # The token is that of the test.
        described.config.generation.update(with_security_parameters=False)
        found = set()
        modes = list(schemathesis.GenerationMode)[: 2 if examples > 1 else 1]
        for result in described.get_all_operations():
            operation = result.ok()
            if only in operation.path:
                for mode in modes:
                    self._ask(
                        operation, mode, seen, token, examples, path, found
                    )
        self.assertTrue(found)
        return found

    def _ask(self, operation, mode, seen, token, examples, path, found):
        @hypothesis.settings(
            max_examples=examples,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def ask(case):
            for name in set(path) & set(case.path_parameters or ()):
                case.path_parameters[name] = path[name]
            answer = case.call_and_validate(
                headers={'X-Auth-Token': token},
                # What the service answers without a picture is described.
                excluded_checks=[]
                if seen
                else [schemathesis.checks.not_a_server_error],
            )
            found.add(answer.status_code)

        try:
            ask()
        except hypothesis.errors.Unsatisfiable:
            # A call without parameters has no invalid request.
            self.assertIs(schemathesis.GenerationMode.NEGATIVE, mode)

    def test_answers(self):
        self.assertLessEqual({200, 400, 404}, self.ask())

    def test_answers_about_things_that_exist(self):
        self.assertIn(200, self.ask(only='{', host='b', flavor='1'))

    def test_errors(self):
        for seen, token, status in (
            (_SEEN, 'wrong', 401),
            (_SEEN, 'owner', 403),
            (None, 'admin', 503),
        ):
            self.assertIn(status, self.ask(seen, token, examples=1))

    def test_each_route_is_described(self):
        made = app.make(fakes.parts())
        described = fakes.client().get('/v1/openapi.json').json()['paths']
        self.assertEqual(
            {
                route.path
                for route in made.routes
                if isinstance(route, routing.Route)
                # It is the same document as that with the slash.
                and route.path != '/v1'
            },
            set(described),
        )
