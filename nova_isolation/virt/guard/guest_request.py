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

"""What is asked for the guest that Nova is at work on."""

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import dataclasses
import threading
import typing

from nova_isolation.host import domain_metadata
from nova_isolation.model import requirements
from nova_isolation.model import vocabulary


@dataclasses.dataclass(frozen=True)
class GuestRequest:
    """What is asked for one guest.

    :ivar uuid: the instance
    :ivar wanted: the requirements of its flavor
    :ivar context: Nova's request context, for events; None: Nova is at
        work on its own account
    """

    uuid: str
    wanted: requirements.Requirements
    context: typing.Any = None


#: An untagged guest's.
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
        """What the flavor inside an instance asks: the database's word.

        :param context: the request's; by default the one with which Nova
            loaded the instance
        """
        return self._request(
            instance.uuid,
            instance.flavor.extra_specs,
            context or getattr(instance, '_context', None),
        )

    def of_xml(self, xml: str) -> GuestRequest:
        """What is asked for a domain that Nova is about to write.

        What this thread is at work on, if the domain is that instance's;
        else what Nova wrote into the XML when it made it.

        :raises ValueError: the XML seems tagged and is no XML
        """
        request: GuestRequest = getattr(self._current, 'request', NO_REQUEST)
        if not request.wanted and not domain_metadata.may_be_tagged(xml):
            return NO_REQUEST
        uuid, extra_specs = domain_metadata.read(xml)
        # A domain without a UUID is nobody's, least of all NO_REQUEST's.
        if uuid and request.uuid == uuid:
            return request
        return self._request(uuid, extra_specs, None)

    @contextlib.contextmanager
    def working_on(
        self, instance: typing.Any, context: typing.Any
    ) -> Iterator[None]:
        """While it lasts, this thread makes the guest of an instance."""
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
