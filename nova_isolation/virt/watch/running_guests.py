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

"""The running guests of the host, and what is asked for each."""

from collections.abc import Iterable
import dataclasses
import typing

from nova.compute import task_states
from nova.compute import vm_states
from oslo_log import log as logging

from nova import objects
from nova_isolation.virt.guard import guest_request

LOG = logging.getLogger(__name__)

#: Nobody is at work on the guest itself. A tenant can make an upload of a
#: snapshot last for hours.
_AT_REST = (
    None,
    task_states.IMAGE_PENDING_UPLOAD,
    task_states.IMAGE_UPLOADING,
)


@dataclasses.dataclass(frozen=True)
class TaggedGuest:
    """A tagged guest that runs, or is paused, and nobody is at work on.

    :ivar guest: Nova's Guest
    :ivar request: what is asked for it
    :ivar instance: Nova's instance; None: the database cannot be asked
    """

    guest: typing.Any
    request: guest_request.GuestRequest
    instance: typing.Any = None


@dataclasses.dataclass(frozen=True)
class HostGuests:
    """What one look at the host has shown.

    :ivar tagged: the guests to examine
    :ivar busy: the UUIDs of those that somebody is at work on
    :ivar here: the UUIDs of the instances of this host, as far as is known
    :ivar database: whether the database could be asked
    """

    tagged: tuple[TaggedGuest, ...] = ()
    busy: frozenset[str] = frozenset()
    here: frozenset[str] = frozenset()
    database: bool = True


class RunningGuests:
    """Looks at the host, and remembers what the database has said.

    What is asked for a guest is the database's word, the flavor inside the
    instance: the metadata of the domain can be edited on the host. Only where
    the database cannot be asked, what it last said counts, and for a guest
    that has come since then the metadata.
    """

    def __init__(
        self,
        host: str,
        libvirt_host: typing.Any,
        known: guest_request.GuestRequests,
    ) -> None:
        """:param host: the name of the compute service
        :param libvirt_host: Nova's Host
        :param known: finds what is asked for a guest
        """
        self._host = host
        self._libvirt = libvirt_host
        self._requests = known
        #: what the database last said; None: somebody is at work on it
        self._last: dict[str, guest_request.GuestRequest | None] = {}
        self._reachable = True

    def look(self, context: typing.Any) -> HostGuests:
        """The guests that run now.

        :param context: an admin's
        :raises libvirt.libvirtError, nova.exception.NovaException: libvirt
            cannot be asked
        """
        guests = {
            guest.uuid: guest
            for guest in self._libvirt.list_guests(only_running=True)
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
                    'host. They are verified against what it said last: %s',
                    error,
                )
            self._reachable = False
            found = (self._remembered(guest) for guest in guests.values())
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
                TaggedGuest(guest, request, here[uuid])
                for uuid, guest in guests.items()
                if (request := self._last.get(uuid)) and request.wanted
            ),
            self._busy(guests),
            frozenset(here),
        )

    def look_again(
        self, tagged: TaggedGuest, context: typing.Any
    ) -> TaggedGuest | None:
        """The same guest, if it is still there and nobody is at work on it.

        :param context: an admin's
        """
        if tagged.instance is None:
            return tagged
        try:
            instance: typing.Any = objects.Instance.get_by_uuid(
                context, tagged.request.uuid, expected_attrs=['flavor']
            )
        except Exception:
            # A deleted one is no more here; the others will be looked at
            # again.
            LOG.debug('Cannot look again', exc_info=True)
            return None
        if instance.host != self._host:
            return None
        request = self._request(instance, context)
        if request is None or not request.wanted:
            return None
        return TaggedGuest(tagged.guest, request, instance)

    def _request(
        self, instance: typing.Any, context: typing.Any
    ) -> guest_request.GuestRequest | None:
        """What is asked for a guest; None: somebody is at work on it."""
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

    def _remembered(self, guest: typing.Any) -> TaggedGuest | None:
        try:
            request = (
                self._last[guest.uuid]
                if guest.uuid in self._last
                else self._requests.of_xml(guest.get_xml_desc())
            )
        except Exception:
            # It has ended, or its XML is none. The others count.
            LOG.debug('Cannot read a domain', exc_info=True)
            return None
        if request is None or not request.wanted:
            return None
        return TaggedGuest(guest, request)
