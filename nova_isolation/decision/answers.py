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

"""The call of a mechanism for a decision, safe against any error it raises."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import logging

from nova_isolation.mechanisms import base
from nova_isolation.mechanisms import registry
from nova_isolation.model import reasons
from nova_isolation.model import requirements

LOG = logging.getLogger(__name__)


def answers(
    owned: tuple[requirements.Requirement, ...],
    mechanisms: registry.Mechanisms,
    ask: Callable[[registry.AnyMechanism], Iterable[reasons.Unmet]],
) -> Iterator[reasons.Unmet]:
    """Return what a mechanism answers about its requirements.

    :param owned: requirements of one mechanism; where the mechanism gives no
        answer, all of them are unmet
    :param mechanisms: the mechanisms of this process
    :param ask: calls the mechanism; may raise any exception
    """
    name = owned[0].mechanism
    mechanism = mechanisms.loaded.get(name)
    if mechanism is None:
        for requirement in owned:
            yield requirement.unmet(
                reasons.MECHANISM_UNAVAILABLE,
                f'the mechanism {name} is not loaded',
            )
        return
    try:
        found = tuple(ask(mechanism))
        for item in found:
            if not isinstance(item, reasons.Unmet):
                raise TypeError(
                    f'the mechanism returned {item!r}, which is not an Unmet'
                )
    except base.FAILURES as error:
        # A mechanism may be of another package. Whatever the mechanism
        # raises, its requirements are unmet and the service continues.
        LOG.exception(
            'Mechanism %s raised an error; its requirements count as unmet',
            name,
        )
        for requirement in owned:
            yield requirement.unmet(
                reasons.MECHANISM_FAILED, f'{type(error).__name__}: {error}'
            )
        return
    yield from found
