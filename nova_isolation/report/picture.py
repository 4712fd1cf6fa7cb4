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

"""What Nova's databases held at one moment: hosts and flavors, all cells.

The cloud's reader (:mod:`nova_isolation.cloud`) makes it, and everything that
reports about the cloud is a function of it. There is neither Nova nor a clock
here.
"""

from collections.abc import Mapping
import dataclasses

from nova_isolation.report import server


@dataclasses.dataclass(frozen=True)
class ComputeNode:
    """A compute node as Nova's databases hold it.

    :ivar host: the name of its compute service
    :ivar uuid: the UUID of the compute node
    :ivar stats: the stats that it published; empty before its first report
    :ivar state: why Nova itself would not use the host, as a verb and its
        object ("is disabled (new disks)", "is down"); '' where it would
    :ivar cell: the name of its cell, or the cell's UUID where it has no name
    """

    host: str
    uuid: str
    stats: Mapping[str, object]
    state: str
    cell: str = ''


@dataclasses.dataclass(frozen=True)
class Flavor:
    """A flavor of the cloud.

    :ivar flavor_id: its ID, as the API has it
    :ivar name: its name
    :ivar extra_specs: all its extra specs, those of other projects too
    """

    flavor_id: str
    name: str
    extra_specs: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class UnreadCell:
    """A cell whose database could not be read this time.

    :ivar cell: as :attr:`ComputeNode.cell`
    :ivar reason: why not, one printable line without credentials
    """

    cell: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Picture:
    """The cloud at one moment. Never changed, only replaced.

    :ivar read_at: when the reading began, seconds since the epoch
    :ivar nodes: the compute nodes, sorted by host; those of an unread cell
        are those of its last reading, in a state that says so
    :ivar flavors: the flavors, sorted by ID
    :ivar unread: the cells that could not be read, sorted by name
    :ivar servers: the servers of tagged flavors, sorted by ID; those of an
        unread cell are those of its last reading
    :ivar traits: UUID of a compute node -> those of our traits that
        placement holds for it; None: placement could not be asked
    :ivar traits_trouble: why placement could not be asked
    """

    read_at: float
    nodes: tuple[ComputeNode, ...]
    flavors: tuple[Flavor, ...]
    unread: tuple[UnreadCell, ...] = ()
    servers: tuple[server.Server, ...] = ()
    traits: Mapping[str, frozenset[str]] | None = None
    traits_trouble: str = 'placement was not asked'

    def flavor(self, name: str) -> Flavor | None:
        """Return a flavor.

        :param name: its ID or name; an ID comes first
        :returns: the flavor; None where there is none
        """
        return next(
            (f for f in self.flavors if f.flavor_id == name), None
        ) or next((f for f in self.flavors if f.name == name), None)
