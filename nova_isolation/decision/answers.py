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

"""What a mechanism answers, whoever wrote it and whatever it raises."""

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
    """What a mechanism answers to a question about its requirements.

    :param owned: requirements of one mechanism; where it gives no answer,
        all of them are unmet
    :param mechanisms: the mechanisms of this process
    :param ask: asks it; may raise anything
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
                raise TypeError(f'it gave {item!r}, which is no Unmet')
    except base.FAILURES as error:
        # A mechanism may come from anybody. Whatever it raises, the answer
        # is no, and the service that asked lives on.
        LOG.exception('Mechanism %s failed to judge', name)
        for requirement in owned:
            yield requirement.unmet(
                reasons.MECHANISM_FAILED, f'{type(error).__name__}: {error}'
            )
        return
    yield from found
