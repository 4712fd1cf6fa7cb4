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

"""One server, asked for now: in the database, and on its host."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import typing

from nova import context as nova_context
from nova import exception
from nova import objects
from nova.compute import rpcapi
import oslo_messaging

from nova_isolation.cloud import compute_nodes
from nova_isolation.cloud import servers
from nova_isolation.evidence import errors as evidence_errors
from nova_isolation.evidence import question
from nova_isolation.model import examination
from nova_isolation.model import printable
from nova_isolation.report import asked
from nova_isolation.report import server

#: Returns Nova's mappings of all cells.
Cells = Callable[[], list[typing.Any]]


class LiveServers(asked.Servers):
    """Asks Nova's databases, and compute hosts over Nova's message queue."""

    def __init__(self, cells: Cells) -> None:
        """:param cells: the cells, with the connections to be used"""
        self._cells = cells

    def find(self, uuid: str) -> server.Server:
        """See the base class."""
        with self._instance(uuid) as (context, instance, cell):
            return servers.of_instances(context, [instance], cell)[0]

    def examine(self, uuid: str) -> examination.Examination:
        """See the base class.

        The host answers through the diagnostics of the server
        (:mod:`nova_isolation.virt.roads.diagnostics`). Nova itself waits for
        ``[DEFAULT] rpc_response_timeout``.
        """
        host, answer = self._diagnostics(uuid)
        found = answer.get(examination.KEY)
        if found is None:
            raise asked.NotExamined(
                f'host {host} has not examined the guest: it runs another '
                'driver or an older release of nova-isolation, or its log of '
                'nova-compute has the error'
            )
        try:
            return examination.load(found)
        except examination.ExaminationError as error:
            raise asked.NotExamined(
                f'the answer of host {host} is malformed: {error}'
            ) from error

    def state(self, uuid: str, wanted: question.Question) -> question.Answer:
        """See the base class. The host answers as to :meth:`examine`."""
        host, answer = self._diagnostics(uuid, wanted.dumps())
        found = answer.get(question.KEY)
        if found is None:
            raise asked.NotExamined(
                f'host {host} has made no statement: [isolation_evidence] '
                'signing_key is not set there, or it runs another driver or '
                'an older release of nova-isolation'
            )
        try:
            return question.load(found, uuid, wanted)
        except question.NotStatedError as error:
            raise asked.NotExamined(
                f'host {host} has made no statement: {error}'
            ) from error
        except evidence_errors.BadEvidence as error:
            raise asked.NotExamined(
                f'the answer of host {host} is malformed: {error}'
            ) from error

    def _diagnostics(
        self, uuid: str, caused_by: str | None = None
    ) -> tuple[str, dict[str, typing.Any]]:
        """Ask the host of a server for the diagnostics of the guest.

        :param caused_by: the id of the request that caused this one
        :returns: the name of the host, and its answer
        :raises nova_isolation.report.asked.NoSuchServer: there is none
        :raises nova_isolation.report.asked.NotExamined: there is no answer
        """
        with self._instance(uuid) as (context, instance, _):
            if not instance.host:
                raise asked.NotRunning('the server is on no host')
            context.global_request_id = caused_by
            try:
                answer = rpcapi.ComputeAPI().get_diagnostics(context, instance)
            except oslo_messaging.MessagingTimeout:
                raise asked.HostSilent(
                    f'host {instance.host} has not answered'
                ) from None
            except (
                exception.InstanceInvalidState,
                exception.InstanceNotFound,
                exception.InstanceNotReady,
            ) as error:
                raise asked.NotRunning(
                    'the guest does not run: ' + printable.one_line(error)
                ) from error
            except oslo_messaging.MessagingException as error:
                raise asked.NotExamined(
                    f'host {instance.host} cannot be asked: '
                    f'{type(error).__name__}'
                ) from error
            return instance.host, answer if isinstance(answer, dict) else {}

    @contextlib.contextmanager
    def _instance(
        self, uuid: str
    ) -> Iterator[tuple[typing.Any, typing.Any, str]]:
        """Find an instance with its flavor.

        Inside of it, what is asked goes to the cell of the instance.

        :returns: the context, the instance, the name of its cell
        :raises nova_isolation.report.asked.NoSuchServer: there is none
        """
        admin = nova_context.get_admin_context()
        try:
            mapping: typing.Any = objects.InstanceMapping.get_by_instance_uuid(
                admin, uuid
            )
        except exception.InstanceMappingNotFound:
            raise asked.NoSuchServer(uuid) from None
        if mapping.cell_mapping is None:
            raise asked.NoSuchServer(f'{uuid} is not scheduled yet')
        for cell in self._cells():
            if cell.uuid == mapping.cell_mapping.uuid:
                break
        else:
            raise asked.NoSuchServer(f'{uuid} is in no cell')
        with nova_context.target_cell(admin, cell) as context:
            try:
                instance: typing.Any = objects.Instance.get_by_uuid(
                    context, uuid, expected_attrs=['flavor']
                )
            except exception.InstanceNotFound:
                raise asked.NoSuchServer(uuid) from None
            yield context, instance, compute_nodes.cell_name(cell)
