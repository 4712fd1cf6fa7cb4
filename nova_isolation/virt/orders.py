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

from nova_isolation import requirements
from nova_isolation import vocabulary
from nova_isolation.virt import domain_metadata


@dataclasses.dataclass(frozen=True)
class Order:
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
NO_ORDER = Order('', requirements.NOTHING)


class Orders:
    """Finds what is asked for a guest."""

    def __init__(self, known: vocabulary.Vocabulary) -> None:
        """:param known: the vocabulary"""
        self._known = known
        self._current = threading.local()

    def of_instance(
        self, instance: typing.Any, context: typing.Any = None
    ) -> Order:
        """What the flavor inside an instance asks: the database's word.

        :param context: the request's; by default the one with which Nova
            loaded the instance
        """
        return self._order(
            instance.uuid,
            instance.flavor.extra_specs,
            context or getattr(instance, '_context', None),
        )

    def of_xml(self, xml: str) -> Order:
        """What is asked for a domain that Nova is about to write.

        What this thread is at work on, if the domain is that instance's;
        else what Nova wrote into the XML when it made it.

        :raises ValueError: the XML seems tagged and is no XML
        """
        order: Order = getattr(self._current, 'order', NO_ORDER)
        if not order.wanted and not domain_metadata.may_be_tagged(xml):
            return NO_ORDER
        uuid, extra_specs = domain_metadata.read(xml)
        # A domain without a UUID is nobody's, least of all NO_ORDER's.
        if uuid and order.uuid == uuid:
            return order
        return self._order(uuid, extra_specs, None)

    @contextlib.contextmanager
    def working_on(
        self, instance: typing.Any, context: typing.Any
    ) -> Iterator[None]:
        """While it lasts, this thread makes the guest of an instance."""
        before = getattr(self._current, 'order', NO_ORDER)
        self._current.order = self.of_instance(instance, context)
        try:
            yield
        finally:
            self._current.order = before

    def _order(
        self,
        uuid: str,
        extra_specs: Mapping[str, str] | None,
        context: typing.Any,
    ) -> Order:
        if not requirements.is_tagged(extra_specs):
            return Order(uuid, requirements.NOTHING, context)
        return Order(
            uuid, requirements.parse(extra_specs, self._known), context
        )
