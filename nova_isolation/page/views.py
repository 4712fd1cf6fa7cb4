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

"""The views of the page, from the answers of the API."""

from collections.abc import Sequence
import dataclasses
import hashlib
import json
import typing
from urllib import parse

import markupsafe

from nova_isolation.model import printable
from nova_isolation.page import findings
from nova_isolation.page import flavors
from nova_isolation.page import hosts
from nova_isolation.page import matrix
from nova_isolation.page import reading
from nova_isolation.page import servers
from nova_isolation.page import sessions
from nova_isolation.page import templates

#: The longest text of facts that is shown, in characters.
_MAX_FACTS = 100_000


def version() -> str:
    """Return a text that changes with the files that browsers keep."""
    files = templates.static('page.css') + templates.static('page.js')
    return hashlib.sha256(files.encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True)
class Views:
    """Renders for one request.

    :ivar root: the address of the page, without a slash at its end
    :ivar session: who is logged in; None for nobody
    :ivar now: the time, for people
    """

    root: str
    session: sessions.Session | None
    now: str = ''

    def hosts(
        self, said: Sequence[reading.Json], unread: Sequence[reading.Json]
    ) -> str:
        """The matrix.

        :param said: as ``GET /v1/hosts`` has them
        :param unread: the cells that could not be read
        """
        return self._view('hosts', 'Hosts', unread, matrix=matrix.matrix(said))

    def host(self, said: reading.Json) -> str:
        """One host.

        :param said: as ``GET /v1/hosts/HOST`` has it below ``host``
        """
        keys = matrix.requirements([said])
        row = hosts.row(said, keys)
        facts = json.dumps(
            reading.part(said, 'facts'), indent=2, sort_keys=True
        )
        return self._render(
            'host.html',
            here='hosts',
            row=row,
            cells=list(zip(keys, row.cells, strict=True)),
            offers={
                key: reading.texts(reading.part(said, 'offers'), key)
                for key in keys
            },
            refuses={item.key: [item] for item in hosts.refuses(said)},
            attestation=reading.pairs(said, 'attestation'),
            traits=reading.texts(said, 'traits'),
            # Of several lines. The JSON itself has printable characters only.
            facts=markupsafe.escape(facts[:_MAX_FACTS])
            if said.get('facts')
            else '',
        )

    def flavors(
        self, said: Sequence[reading.Json], unread: Sequence[reading.Json]
    ) -> str:
        """The flavors.

        :param said: as ``GET /v1/flavors`` has them
        :param unread: the cells that could not be read
        """
        return self._view(
            'flavors', 'Flavors', unread, flavors=flavors.rows(said), asked=''
        )

    def explanation(
        self, said: reading.Json, flavor: str = '', asked: str = ''
    ) -> str:
        """What hosts say to a flavor, or to extra specs of none.

        :param said: as the API has it below ``explanation``
        :param flavor: ID or name of the flavor; '' for none
        :param asked: what the user typed instead
        """
        explained = flavors.explanation(said, flavor)
        return self._render(
            'explanation.html',
            here='flavors',
            heading=f'Flavor {explained.flavor.name}'
            if flavor
            else 'What if a flavor asked for this?',
            explanation=explained,
            unread=list(reading.parts(said, 'unread_cells')),
            asked=markupsafe.escape(asked),
        )

    def servers(
        self,
        said: Sequence[reading.Json],
        on: Sequence[reading.Json] | None,
        unread: Sequence[reading.Json],
    ) -> str:
        """The servers, and the violations of all hosts.

        :param said: as ``GET /v1/servers`` has them
        :param on: as ``GET /v1/hosts`` has them; None where the user may not
            see them
        :param unread: the cells that could not be read
        """
        return self._view(
            'servers',
            'Servers',
            unread,
            servers=servers.rows(said),
            names=servers.names(said),
            violations=None if on is None else matrix.violations(on),
        )

    def findings(self, said: reading.Json) -> str:
        """What an audit found.

        :param said: as ``GET /v1/audit`` has it below ``audit``
        """
        return self._view(
            'findings', 'Findings', (), audit=findings.audit(said)
        )

    def message(self, heading: str, text: str, request_id: str = '') -> str:
        """A message in place of a view.

        :param request_id: of the request to the API that has failed
        """
        return self._render(
            'message.html',
            here='',
            heading=heading,
            message=printable.one_line(text),
            request_id=printable.one_line(request_id),
        )

    def login(self, csrf: str, following: str, message: str = '') -> str:
        """The form for the log-in.

        :param csrf: what the form has to bring
        :param following: the view that is wanted after the log-in
        :param message: why the user is not logged in
        """
        return self._render(
            'login.html',
            here='',
            csrf=csrf,
            following=following,
            message=message,
        )

    def _view(
        self,
        here: str,
        heading: str,
        unread: Sequence[reading.Json],
        **values: typing.Any,
    ) -> str:
        return self._render(
            'view.html',
            here=here,
            heading=heading,
            part=f'{here}.part.html',
            unread=unread,
            level=2,
            **values,
        )

    def _render(self, name: str, **values: typing.Any) -> str:
        return templates.render(
            name,
            root=self.root,
            session=self.session,
            now=self.now,
            version=version(),
            host_link=lambda one: self._link('hosts', one),
            flavor_link=lambda one: self._link('flavors', one),
            **values,
        )

    def _link(self, view: str, name: str) -> str:
        return f'{self.root}/{view}/{parse.quote(name, safe="")}'
