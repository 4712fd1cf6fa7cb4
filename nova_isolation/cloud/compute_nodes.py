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

"""The compute nodes of one cell, with why Nova would not use them."""

from collections.abc import Iterator
import typing

from nova import context as nova_context
from nova import objects
from nova import servicegroup

from nova_isolation.report import picture

#: How many compute nodes are read from a database at once.
_PAGE = 500


def of_cell(cell: typing.Any) -> list[picture.ComputeNode]:
    """Return the compute nodes of a cell.

    :param cell: Nova's mapping of the cell
    :raises Exception: the database of the cell cannot be read
    """
    name = cell_name(cell)
    up = servicegroup.API().service_is_up
    with nova_context.target_cell(
        nova_context.get_admin_context(), cell
    ) as context:
        services = {
            service.host: service
            for service in objects.ServiceList.get_by_binary(
                context, 'nova-compute', include_disabled=True
            )
        }
        return [
            picture.ComputeNode(
                node.host,
                node.uuid,
                node.stats or {},
                _state(services.get(node.host), up),
                name,
            )
            for node in _all(context)
        ]


def cell_name(cell: typing.Any) -> str:
    """Return the name of a cell, or its UUID where it has none."""
    return str(cell.name or cell.uuid)


def _all(context: typing.Any) -> Iterator[typing.Any]:
    """Return Nova's compute nodes of the cell, read page by page."""
    marker = None
    while True:
        page = objects.ComputeNodeList.get_by_pagination(
            context, limit=_PAGE, marker=marker
        )
        yield from page
        if len(page) < _PAGE:
            return
        marker = page[-1].id


def _state(service: typing.Any, up: typing.Any) -> str:
    if service is None:
        return 'has no service record'
    if service.disabled:
        reason = service.disabled_reason
        return 'is disabled' + (f' ({reason})' if reason else '')
    if not up(service):
        return 'is down'
    return ''
