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

"""The running guests of the host, and what is asked for each of them."""

from collections.abc import Iterable
import dataclasses
import typing

from nova.compute import task_states
from nova.compute import vm_states
from oslo_log import log as logging

from nova import objects
from nova_isolation.virt.guard import domain_xml
from nova_isolation.virt.guard import guest_request
from nova_isolation.virt.guard import hypervisor as hypervisors

LOG = logging.getLogger(__name__)

#: The tasks during which Nova does not change the guest. A tenant can make
#: the upload of a snapshot last for hours.
_AT_REST = (
    None,
    task_states.IMAGE_PENDING_UPLOAD,
    task_states.IMAGE_UPLOADING,
)


@dataclasses.dataclass(frozen=True)
class TaggedGuest:
    """A tagged guest that runs or is paused, and on which Nova does not work.

    :ivar handle: the guest, as the driver handles it
    :ivar request: what is asked for the guest
    :ivar instance: Nova's instance; None: the database cannot be asked
    """

    handle: typing.Any
    request: guest_request.GuestRequest
    instance: typing.Any = None


@dataclasses.dataclass(frozen=True)
class HostGuests:
    """What one look at the host has shown.

    :ivar tagged: the guests to verify
    :ivar busy: the UUIDs of the guests on which Nova works
    :ivar here: the UUIDs of the instances of this host, as far as known
    :ivar database: whether the database could be asked
    """

    tagged: tuple[TaggedGuest, ...] = ()
    busy: frozenset[str] = frozenset()
    here: frozenset[str] = frozenset()
    database: bool = True


class RunningGuests:
    """Looks at the host, and remembers the answers of the database.

    The database decides what is asked for a guest (the flavor inside the
    instance): the metadata of a domain can be edited on the host. While the
    database cannot be asked, its last answer counts, and for a guest that has
    come since then the metadata.
    """

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
        #: UUID -> the last answer of the database; None: Nova works on it
        self._last: dict[str, guest_request.GuestRequest | None] = {}
        self._reachable = True

    def look(self, context: typing.Any) -> HostGuests:
        """The guests that run now.

        :param context: an admin's context
        :raises Exception: the hypervisor cannot be asked
        """
        guests = {
            self._hypervisor.uuid(handle): handle
            for handle in self._hypervisor.running()
        }
        if not guests:
            return HostGuests(here=frozenset(self._last))
        try:
            instances: typing.Any = objects.InstanceList.get_by_host(
                context, self._host, expected_attrs=['flavor']
            )
        except Exception as error:
            # The conductor, the message queue or the database.
            if self._reachable:
                LOG.warning(
                    'The database cannot be asked about the guests of this '
                    'host. The guests are verified against its last answer: '
                    '%s',
                    error,
                )
            self._reachable = False
            found = (
                self._remembered(uuid, handle)
                for uuid, handle in guests.items()
            )
            return HostGuests(
                tuple(one for one in found if one is not None),
                self._busy(guests),
                frozenset(self._last),
                False,
            )
        self._reachable = True
        here = {one.uuid: one for one in instances}
        self._last = {
            uuid: self._request(one, context) for uuid, one in here.items()
        }
        return HostGuests(
            tuple(
                TaggedGuest(handle, request, here[uuid])
                for uuid, handle in guests.items()
                if (request := self._last.get(uuid)) and request.wanted
            ),
            self._busy(guests),
            frozenset(here),
        )

    def look_again(
        self, tagged: TaggedGuest, context: typing.Any
    ) -> TaggedGuest | None:
        """The same guest, if it is still here and Nova does not work on it.

        :param tagged: the guest
        :param context: an admin's context
        :returns: None: the guest is not to be verified now
        """
        if tagged.instance is None:
            return tagged
        try:
            instance: typing.Any = objects.Instance.get_by_uuid(
                context, tagged.request.uuid, expected_attrs=['flavor']
            )
        except Exception:
            # The instance was deleted or the database is unreachable; in
            # the latter case the guest will be verified again.
            LOG.debug(
                'Cannot load the instance of a guest again',
                exc_info=True,
                instance_uuid=tagged.request.uuid,
            )
            return None
        if instance.host != self._host:
            return None
        request = self._request(instance, context)
        if request is None or not request.wanted:
            return None
        return TaggedGuest(tagged.handle, request, instance)

    def _request(
        self, instance: typing.Any, context: typing.Any
    ) -> guest_request.GuestRequest | None:
        """What is asked for a guest; None: Nova works on it."""
        if (
            instance.task_state not in _AT_REST
            or instance.vm_state == vm_states.BUILDING
        ):
            return None
        return self._requests.of_instance(instance, context)

    def _busy(self, uuids: Iterable[str]) -> frozenset[str]:
        return frozenset(
            uuid
            for uuid in uuids
            if uuid in self._last and self._last[uuid] is None
        )

    def _remembered(self, uuid: str, handle: typing.Any) -> TaggedGuest | None:
        """A guest while the database cannot be asked."""
        try:
            request = (
                self._last[uuid]
                if uuid in self._last
                else self._requests.of_xml(
                    domain_xml.DomainXml(self._hypervisor.definition(handle))
                )
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
        if request is None or not request.wanted:
            return None
        return TaggedGuest(handle, request)
