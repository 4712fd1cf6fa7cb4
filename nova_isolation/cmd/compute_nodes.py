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

"""What Nova's databases hold about flavors and compute nodes, in all cells.

For commands of ``nova-isolation-manage``; they print, this module asks.
"""

from collections.abc import Mapping
import dataclasses
import typing

from nova import context as nova_context
from nova import exception
from nova import objects
from nova import servicegroup

from nova_isolation.cmd import error


@dataclasses.dataclass(frozen=True)
class ComputeNode:
    """A compute node as Nova's databases hold it.

    :ivar host: the name of its compute service
    :ivar uuid: the UUID of the compute node
    :ivar stats: the stats that it published; empty before its first report
    :ivar state: why Nova itself would not use the host, as a verb and its
        object ("is disabled (new disks)", "is down"); '' where it would
    """

    host: str
    uuid: str
    stats: Mapping[str, object]
    state: str


def extra_specs(flavor: str) -> Mapping[str, str]:
    """The extra specs of a flavor.

    :param flavor: its ID or name; an ID comes first
    :raises nova_isolation.cmd.error.CommandError: there is no such flavor
    """
    context = nova_context.get_admin_context()
    for find in (
        objects.Flavor.get_by_flavor_id,
        objects.Flavor.get_by_name,
    ):
        try:
            found: Mapping[str, str] = find(context, flavor).extra_specs
        except (exception.FlavorNotFound, exception.FlavorNotFoundByName):
            continue
        return found
    raise error.CommandError(
        f'There is no flavor with the ID or name {flavor!r}; see "openstack '
        'flavor list --all".'
    )


def compute_nodes() -> list[ComputeNode]:
    """The compute nodes of all cells, sorted by host."""
    context = nova_context.get_admin_context()
    nodes = []
    for cell in objects.CellMappingList.get_all(context):
        with nova_context.target_cell(context, cell) as cell_context:
            services = {
                s.host: s
                for s in objects.ServiceList.get_by_binary(
                    cell_context, 'nova-compute', include_disabled=True
                )
            }
            nodes += [
                ComputeNode(
                    node.host,
                    node.uuid,
                    node.stats or {},
                    _state(services.get(node.host)),
                )
                for node in objects.ComputeNodeList.get_all(cell_context)
            ]
    return sorted(nodes, key=lambda node: node.host)


def _state(service: typing.Any) -> str:
    if service is None:
        return 'has no service record'
    if service.disabled:
        reason = service.disabled_reason
        return 'is disabled' + (f' ({reason})' if reason else '')
    if not servicegroup.API().service_is_up(service):
        return 'is down'
    return ''
