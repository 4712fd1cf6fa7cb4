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

"""What the flavor of a guest asks for, wherever the guest is met."""

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import dataclasses
import threading
import typing

from nova_isolation.host import domain_metadata
from nova_isolation.model import requirements
from nova_isolation.model import vocabulary
from nova_isolation.virt.guard import domain_xml


@dataclasses.dataclass(frozen=True)
class GuestRequest:
    """What is asked for one guest.

    :ivar uuid: the UUID of the instance
    :ivar wanted: the requirements of its flavor
    :ivar context: Nova's request context, for events; None: Nova works on
        the guest without a request of a user
    """

    uuid: str
    wanted: requirements.Requirements
    context: typing.Any = None


#: The request for an untagged guest.
NO_REQUEST = GuestRequest('', requirements.NOTHING)


class GuestRequests:
    """Finds what is asked for a guest."""

    def __init__(self, known: vocabulary.Vocabulary) -> None:
        """:param known: the vocabulary"""
        self._known = known
        self._current = threading.local()

    def of_instance(
        self, instance: typing.Any, context: typing.Any = None
    ) -> GuestRequest:
        """What the flavor inside an instance asks for, by the database.

        :param instance: Nova's instance
        :param context: the context of the user's request; by default the
            one with which Nova loaded the instance
        """
        return self._request(
            instance.uuid,
            instance.flavor.extra_specs,
            context or getattr(instance, '_context', None),
        )

    def of_xml(self, xml: domain_xml.DomainXml) -> GuestRequest:
        """What is asked for a domain that Nova is about to define.

        If this thread makes the guest of the same instance
        (:meth:`working_on`), the request for that instance; else what Nova
        wrote into the XML when it made the XML.

        :raises ValueError: the text may be tagged and is not XML
        """
        request: GuestRequest = getattr(self._current, 'request', NO_REQUEST)
        if not request.wanted and not domain_metadata.may_be_tagged(xml.text):
            return NO_REQUEST
        uuid, extra_specs = domain_metadata.of(xml.element)
        # A domain without a UUID belongs to no instance, and must not match
        # NO_REQUEST, whose UUID is empty.
        if uuid and request.uuid == uuid:
            return request
        return self._request(uuid, extra_specs, None)

    @contextlib.contextmanager
    def working_on(
        self, instance: typing.Any, context: typing.Any
    ) -> Iterator[None]:
        """Inside of it, this thread makes the guest of an instance.

        :param instance: Nova's instance
        :param context: the context of the user's request
        """
        before = getattr(self._current, 'request', NO_REQUEST)
        self._current.request = self.of_instance(instance, context)
        try:
            yield
        finally:
            self._current.request = before

    def _request(
        self,
        uuid: str,
        extra_specs: Mapping[str, str] | None,
        context: typing.Any,
    ) -> GuestRequest:
        if not requirements.is_tagged(extra_specs):
            return GuestRequest(uuid, requirements.NOTHING, context)
        return GuestRequest(
            uuid, requirements.parse(extra_specs, self._known), context
        )
