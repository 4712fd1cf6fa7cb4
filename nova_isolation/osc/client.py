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

"""A client of the service ``isolation``, version 1.

Every text of an answer is made printable where it is read, because it may
have words of a compute host.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import typing
import urllib.parse

from keystoneauth1 import adapter
from keystoneauth1 import exceptions

from nova_isolation.model import printable
from nova_isolation.osc import errors

#: Seconds to wait for an answer. The service answers from memory.
TIMEOUT = 60

#: Seconds to wait where the service asks a compute host; Nova's own limit for
#: such a question is 60 seconds.
EXAMINE_TIMEOUT = 120

#: Items that one page may have.
PAGE = 1000

#: The longest text of an answer, in characters.
MAX_TEXT = 4000

#: Called with the number of items that have arrived.
Progress = Callable[[int], None]

_ROOT = '/v1'


def _ignore(_: int) -> None:
    pass


class Client:
    """Asks the service.

    Each method raises :class:`~nova_isolation.osc.errors.ServiceAway` where
    the service cannot answer, and its base class where it does not want to.

    :ivar unread: the cells that the service could not read, so that an answer
        so far may lack what is there: name of the cell -> reason
    """

    def __init__(self, service: adapter.Adapter) -> None:
        """:param service: an adapter for the endpoint of the service"""
        self._service = service
        self._base = ''
        self.unread: dict[str, str] = {}

    def hosts(
        self, progress: Progress = _ignore
    ) -> list[dict[str, typing.Any]]:
        """Return all hosts, without their facts."""
        return list(self._items('/hosts', 'hosts', progress))

    def host(self, name: str) -> dict[str, typing.Any]:
        """Return a host with its facts."""
        return self._one(f'/hosts/{_quoted(name)}', 'host')

    def flavors(self) -> list[dict[str, typing.Any]]:
        """Return the tagged flavors, and those that nearly are."""
        return list(self._items('/flavors', 'flavors', _ignore))

    def explain(
        self,
        flavor: str,
        refused_only: bool = False,
        progress: Progress = _ignore,
    ) -> dict[str, typing.Any]:
        """Return for each host whether it can run guests of a flavor.

        :param flavor: its ID or name
        :param refused_only: leave out the hosts that are accepted
        """
        return self._explanation(
            'GET',
            f'/flavors/{_quoted(flavor)}/explain',
            None,
            refused_only,
            progress,
        )

    def what_if(
        self,
        extra_specs: Mapping[str, str],
        refused_only: bool = False,
        progress: Progress = _ignore,
    ) -> dict[str, typing.Any]:
        """Return what :meth:`explain` would for these extra specs."""
        return self._explanation(
            'POST',
            '/explain',
            {'extra_specs': dict(extra_specs)},
            refused_only,
            progress,
        )

    def servers(
        self, progress: Progress = _ignore
    ) -> list[dict[str, typing.Any]]:
        """Return the tagged servers of all projects."""
        return list(
            self._items('/servers', 'servers', progress, all_projects='true')
        )

    def server(self, uuid: str, now: bool = False) -> dict[str, typing.Any]:
        """Return a server.

        :param now: have its host examine the guest again
        """
        if not now:
            return self._one(f'/servers/{_quoted(uuid)}', 'server')
        return self._one(
            f'/servers/{_quoted(uuid)}',
            'server',
            timeout=EXAMINE_TIMEOUT,
            now='true',
        )

    def evidence(self, uuid: str, nonce: str | None) -> dict[str, typing.Any]:
        """Return a signed statement about a server.

        :param nonce: what the host is to state; None: the newest statement
        :returns: ``bundle`` is as it came, for it is signed; print it as JSON
            in ASCII
        """
        answer = self._ask(
            'GET',
            f'/servers/{_quoted(uuid)}/evidence',
            {} if nonce is None else {'nonce': nonce},
            timeout=EXAMINE_TIMEOUT,
            as_it_came=True,
        )
        found = _member(answer, 'evidence', dict)
        return {
            **typing.cast(dict[str, typing.Any], _printable(found)),
            'bundle': found.get('bundle'),
        }

    def audit(self) -> dict[str, typing.Any]:
        """Return the findings over the whole cloud."""
        return self._one('/audit', 'audit')

    def _explanation(
        self,
        method: str,
        path: str,
        body: object,
        refused_only: bool,
        progress: Progress,
    ) -> dict[str, typing.Any]:
        params = {'limit': str(PAGE)}
        if refused_only:
            params['refused_only'] = 'true'
        answer = self._ask(method, path, params, body)
        result = _member(answer, 'explanation', dict)
        # Nothing that is missing may count as an answer.
        _member(result, 'usable', bool)
        _member(result, 'counts', dict)
        _member(result, 'extra_specs', dict)
        hosts = _member(result, 'hosts', list)
        progress(len(hosts))
        page = result
        while marker := _next(page, 'hosts'):
            params['marker'] = marker
            page = _member(
                self._ask(method, path, params, body), 'explanation', dict
            )
            hosts += _member(page, 'hosts', list)
            progress(len(hosts))
        self._note_unread(result)
        result.pop('hosts_links', None)
        return result

    def _one(
        self, path: str, key: str, timeout: float = TIMEOUT, **params: str
    ) -> dict[str, typing.Any]:
        answer = self._ask('GET', path, params, timeout=timeout)
        result = _member(answer, key, dict)
        self._note_unread(result)
        return result

    def _items(
        self, path: str, key: str, progress: Progress, **params: str
    ) -> Iterator[dict[str, typing.Any]]:
        params['limit'] = str(PAGE)
        arrived = 0
        while True:
            answer = self._ask('GET', path, params)
            items = _member(answer, key, list)
            self._note_unread(answer)
            yield from items
            arrived += len(items)
            progress(arrived)
            marker = _next(answer, key)
            if not marker or not items:
                return
            params['marker'] = marker

    def _note_unread(self, answer: Mapping[str, typing.Any]) -> None:
        for one in answer.get('unread_cells') or ():
            self.unread[str(one.get('cell'))] = str(one.get('reason'))

    def _ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        body: object = None,
        timeout: float = TIMEOUT,
        as_it_came: bool = False,
    ) -> dict[str, typing.Any]:
        url = self._endpoint() + path
        try:
            answer = self._service.request(
                url,
                method,
                params=dict(params),
                raise_exc=False,
                connect_retries=0,
                timeout=timeout,
                headers={'Accept': 'application/json'},
                **({} if body is None else {'json': body}),
            )
        except exceptions.ConnectionError as error:
            # keystoneauth's own class, of which timeouts are as well.
            raise errors.ServiceAway(
                f'The service isolation does not answer at {url}: {error}'
            ) from error
        try:
            document = answer.json()
        except ValueError:
            document = None
        if answer.status_code == 200 and isinstance(document, dict):
            if as_it_came:
                return document
            return typing.cast(dict[str, typing.Any], _printable(document))
        raise _error(url, answer.status_code, document)

    def _endpoint(self) -> str:
        if not self._base:
            try:
                found = self._service.get_endpoint()
            except exceptions.EndpointNotFound:
                found = None
            if not found:
                raise errors.ServiceAway(
                    'The catalog of Keystone has no endpoint of type '
                    'isolation for this region and interface. Is '
                    'nova-isolation-api installed?'
                )
            base = str(found).rstrip('/')
            self._base = base if base.endswith(_ROOT) else base + _ROOT
        return self._base


def _error(url: str, status: int, document: object) -> errors.Failure:
    """Return what an answer other than 200 means."""
    told = ''
    listed = document.get('errors') if isinstance(document, dict) else None
    if isinstance(listed, list):
        told = '; '.join(
            f'{one.get("detail") or one.get("title")} [{one.get("code")}] '
            f'(request {one.get("request_id")})'
            for one in listed
            if isinstance(one, dict)
        )
    if status in (401, 403):
        return errors.Failure(
            f'The service isolation refuses this to you: HTTP {status}: '
            f'{told or url}. An admin may ask, and who has the role reader '
            'for the system ("--os-system-scope all").'
        )
    # With 502 and 504 the service itself tells of a compute host.
    if status in (500, 503) or not told:
        return errors.ServiceAway(
            f'The service isolation does not work: HTTP {status} from {url}'
            + (f': {told}' if told else '')
        )
    return errors.Failure(f'{told}, HTTP {status}')


def _next(answer: Mapping[str, typing.Any], key: str) -> str:
    """Return the marker of the next page; '' on the last one.

    Only the marker of the link is used: a token is sent to no other address.
    """
    for link in answer.get(f'{key}_links') or ():
        if isinstance(link, dict) and link.get('rel') == 'next':
            query = urllib.parse.urlsplit(str(link.get('href'))).query
            return urllib.parse.parse_qs(query).get('marker', [''])[0]
    return ''


_Kind = typing.TypeVar('_Kind')


def _member(
    answer: Mapping[str, typing.Any], key: str, kind: type[_Kind]
) -> _Kind:
    """Return a member of an answer."""
    value = answer.get(key)
    if not isinstance(value, kind):
        raise errors.ServiceAway(
            f'The answer of the service isolation has no {key!r}; is '
            'something else at its endpoint?'
        )
    return value


def _printable(value: object) -> object:
    """Return a JSON value whose texts are printable."""
    if isinstance(value, str):
        return printable.one_line(value, MAX_TEXT)
    if isinstance(value, dict):
        return {
            printable.one_line(key, MAX_TEXT): _printable(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_printable(item) for item in value]
    return value


def _quoted(name: str) -> str:
    return urllib.parse.quote(name, safe='')
