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

"""What the commands ask of Nova's API."""

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import typing
import urllib.parse

from keystoneauth1 import exceptions as keystone
from openstack import exceptions

from nova_isolation.model import printable
from nova_isolation.osc import errors
from nova_isolation.osc import rights

#: From this microversion on Nova validates extra specs. openstacksdk writes
#: them with 2.61 at most, so that typing errors would be stored.
VALIDATED = '2.86'

#: Extra specs of a flavor, UUIDs of hypervisors, paging.
_READ = '2.53'

#: Seconds to wait for an answer.
_TIMEOUT = 60

_FLAVORS = rights.Right('Nova', 'show flavors', 'the role reader')
_WRITES = rights.Right('Nova', 'change extra specs', 'the role admin')
_SERVERS = rights.Right(
    'Nova',
    'show servers',
    'the role reader in the project of the server',
    'give the ID of the server while the service isolation answers',
)
_HOSTS = rights.Right(
    'Nova', 'list compute hosts', 'the role admin', rights.SERVICE
)


@dataclasses.dataclass(frozen=True)
class ComputeHost:
    """A compute host as Nova's API shows it.

    :ivar host: the name of its compute service
    :ivar uuid: the UUID of the compute node and of its resource provider
    :ivar state: why Nova would not use the host; '' where it would
    """

    host: str
    uuid: str
    state: str


@dataclasses.dataclass(frozen=True)
class Flavor:
    """A flavor.

    :ivar id: its ID
    :ivar name: its name
    """

    id: str
    name: str


class Unwritten(errors.Failure):
    """A write failed.

    :ivar refused: Nova refused it, so nothing was written; False where that
        is not known
    """

    def __init__(self, text: str, refused: bool) -> None:
        super().__init__(text)
        self.refused = refused


class Nova:
    """Nova's API, by openstacksdk."""

    def __init__(self, compute: typing.Any) -> None:
        """:param compute: the compute proxy of openstacksdk"""
        self._compute = compute

    def flavor(self, name: str) -> Flavor:
        """Return a flavor.

        :param name: its ID or name
        """
        try:
            with rights.explained(_FLAVORS):
                found = self._compute.find_flavor(name, ignore_missing=False)
        except exceptions.ResourceNotFound:
            raise errors.Failure(
                f'There is no flavor with the ID or name {name!r}; see '
                '"openstack flavor list --all".'
            ) from None
        return Flavor(found.id, found.name)

    def extra_specs(self, flavor: Flavor) -> dict[str, str]:
        """Return all extra specs of a flavor."""
        with rights.explained(_FLAVORS):
            answer = self._get(_url(flavor), VALIDATED)
        return dict(answer.get('extra_specs') or {})

    def add(self, flavor: Flavor, extra_specs: Mapping[str, str]) -> None:
        """Write extra specs, all of them or none.

        :raises Unwritten: Nova refused them, or did not answer
        """
        self._write(
            'POST', _url(flavor), json={'extra_specs': dict(extra_specs)}
        )

    def remove(self, flavor: Flavor, key: str) -> None:
        """Remove an extra spec; one that is not there is removed already.

        :raises Unwritten: Nova refused this, or did not answer
        """
        try:
            self._write('DELETE', f'{_url(flavor)}/{_quoted(key)}')
        except Unwritten as error:
            if not isinstance(error.__cause__, exceptions.NotFoundException):
                raise

    def server(self, name: str) -> typing.Any:
        """Return a server of openstacksdk.

        :param name: its ID or name
        """
        try:
            with rights.explained(_SERVERS):
                return self._compute.find_server(name, ignore_missing=False)
        except exceptions.ResourceNotFound:
            raise errors.Failure(
                f'There is no server with the ID or name {name!r}. Give the '
                'ID for a server of another project.'
            ) from None

    def hosts(self) -> Iterator[ComputeHost]:
        """Return all compute hosts."""
        params = {'limit': '1000'}
        while True:
            with rights.explained(_HOSTS):
                answer = self._get('/os-hypervisors/detail', _READ, params)
            found = answer.get('hypervisors') or []
            for one in found:
                yield ComputeHost(
                    printable.one_line(one['service']['host']),
                    one['id'],
                    _state(one),
                )
            if not found or not answer.get('hypervisors_links'):
                return
            params['marker'] = found[-1]['id']

    def _get(
        self,
        url: str,
        microversion: str,
        params: Mapping[str, str] | None = None,
    ) -> dict[str, typing.Any]:
        answer = self._compute.get(
            url,
            microversion=microversion,
            params=dict(params or {}),
            timeout=_TIMEOUT,
        )
        exceptions.raise_from_response(answer)
        return dict(answer.json())

    def _write(self, method: str, url: str, **more: typing.Any) -> None:
        try:
            with rights.explained(_WRITES):
                answer = self._compute.request(
                    url,
                    method,
                    microversion=VALIDATED,
                    timeout=_TIMEOUT,
                    **more,
                )
                exceptions.raise_from_response(answer)
        except errors.Failure as error:
            raise Unwritten(str(error), True) from error
        except (exceptions.HttpException, keystone.ClientException) as error:
            status = getattr(error, 'status_code', None) or 0
            raise Unwritten(
                f'Nova did not take it: {error}', 400 <= status < 500
            ) from error


def _state(hypervisor: Mapping[str, typing.Any]) -> str:
    if hypervisor['status'] == 'disabled':
        reason = hypervisor['service'].get('disabled_reason')
        return 'is disabled' + (
            f' ({printable.one_line(reason)})' if reason else ''
        )
    return 'is down' if hypervisor['state'] != 'up' else ''


def _url(flavor: Flavor) -> str:
    return f'/flavors/{_quoted(flavor.id)}/os-extra_specs'


def _quoted(name: str) -> str:
    return urllib.parse.quote(name, safe='')
