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

"""What is asked for the guests of this host, and whether Nova changes them.

The database decides what is asked for a guest (the flavor inside the
instance): the metadata of a domain can be edited on the host. While the
database cannot be asked, its last answer counts, and for a guest that has
come since then the metadata.
"""

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import typing

from nova import exception as nova_exception
from nova import objects
from nova.compute import task_states
from nova.compute import vm_states
from oslo_log import log as logging

from nova_isolation.virt.guard import domain_xml
from nova_isolation.virt.guard import guest_request
from nova_isolation.virt.guard import hypervisor as hypervisors

LOG = logging.getLogger(__name__)

#: The tasks during which Nova does not change the guest.
_AT_REST = (
    None,
    task_states.IMAGE_PENDING_UPLOAD,
    task_states.IMAGE_UPLOADING,
)


@dataclasses.dataclass(frozen=True)
class Answer:
    """What is known about one instance.

    :ivar request: what is asked for the guest
    :ivar at_rest: whether Nova does not change the guest at present
    :ivar instance: Nova's instance; None: the database was not asked now
    :ivar is_stray: whether the instance is not of this host, by the database
    """

    request: guest_request.GuestRequest
    at_rest: bool
    instance: typing.Any = None
    is_stray: bool = False


class HostAnswers:
    """Asks the database, and remembers its answers."""

    def __init__(
        self,
        host: str,
        hypervisor: hypervisors.Hypervisor,
        known: guest_request.GuestRequests,
    ) -> None:
        """:param host: the name of the compute service
        :param hypervisor: the virtualization stack of this host
        :param known: finds what is asked for a guest
        """
        self._host = host
        self._hypervisor = hypervisor
        self._requests = known
        self._last: dict[str, Answer] = {}

    @property
    def here(self) -> frozenset[str]:
        """The UUIDs of the instances of this host, as far as known."""
        return frozenset(self._last)

    def all(self, context: typing.Any) -> dict[str, Answer]:
        """What the database says about the instances of this host.

        :param context: an admin's context
        :raises Exception: the database cannot be asked
        """
        instances: typing.Any = objects.InstanceList.get_by_host(
            context, self._host, expected_attrs=['flavor']
        )
        found = {one.uuid: self._answer(one, context) for one in instances}
        self._last = _without_instances(found)
        return found

    def some(
        self, uuids: Iterable[str], context: typing.Any
    ) -> dict[str, Answer]:
        """What the database says about those of some instances that are here.

        :param uuids: the UUIDs of the instances
        :param context: an admin's context
        :raises Exception: the database cannot be asked
        """
        found = {}
        for uuid in uuids:
            try:
                instance: typing.Any = objects.Instance.get_by_uuid(
                    context, uuid, expected_attrs=['flavor']
                )
            except nova_exception.InstanceNotFound:
                continue
            if instance.host == self._host:
                found[uuid] = self._answer(instance, context)
        self._last = self._last | _without_instances(found)
        return found

    def remembered(
        self, guests: Mapping[str, typing.Any]
    ) -> dict[str, Answer]:
        """What is known of guests while the database cannot be asked.

        :param guests: UUID -> handle
        """
        known = {
            uuid: self._last[uuid] for uuid in guests if uuid in self._last
        }
        unknown = {u: handle for u, handle in guests.items() if u not in known}
        return known | self._by_domains(unknown)

    def strays(self, guests: Mapping[str, typing.Any]) -> dict[str, Answer]:
        """What is asked for guests whose instances are not of this host.

        A migration or an evacuation may have failed after the guest had begun
        to run here. Their domains say what is asked for them.

        :param guests: UUID -> handle
        """
        return {
            uuid: dataclasses.replace(one, is_stray=True)
            for uuid, one in self._by_domains(guests).items()
        }

    def may_be_tagged(self, uuid: str, handle: typing.Any = None) -> bool:
        """Whether the database is to be asked about a guest.

        Most guests of a cloud are not tagged and should cost nothing.

        :param uuid: the UUID of the instance
        :param handle: the guest; None: the hypervisor is not to be asked
        """
        last = self._last.get(uuid)
        if last is not None:
            return bool(last.request.wanted)
        # Of a guest that is new here only its domain is known.
        return handle is None or self._by_domain(uuid, handle) is not None

    def _answer(self, instance: typing.Any, context: typing.Any) -> Answer:
        return Answer(
            self._requests.of_instance(instance, context),
            instance.task_state in _AT_REST
            and instance.vm_state != vm_states.BUILDING,
            instance,
        )

    def _by_domains(
        self, guests: Mapping[str, typing.Any]
    ) -> dict[str, Answer]:
        found = {
            uuid: self._by_domain(uuid, handle)
            for uuid, handle in guests.items()
        }
        return {uuid: one for uuid, one in found.items() if one is not None}

    def _by_domain(self, uuid: str, handle: typing.Any) -> Answer | None:
        """What is asked for a guest that the database has not named yet.

        :returns: None: the guest is not tagged
        """
        try:
            request = self._requests.of_xml(
                domain_xml.DomainXml(self._hypervisor.definition(handle))
            )
        except Exception:
            # The guest has ended, or its XML is malformed. The other guests
            # are verified.
            LOG.debug(
                'Cannot read the domain of a guest',
                exc_info=True,
                instance_uuid=uuid,
            )
            return None
        # It may be a guest that is being made.
        return Answer(request, at_rest=False) if request.wanted else None


def _without_instances(found: Mapping[str, Answer]) -> dict[str, Answer]:
    return {
        uuid: dataclasses.replace(one, instance=None)
        for uuid, one in found.items()
    }
