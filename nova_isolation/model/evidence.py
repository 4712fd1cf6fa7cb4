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

"""What a third party says of a host, as the decision takes it.

The counterpart of the facts (:mod:`nova_isolation.model.facts`), which are the
host's own word: a document without names and times, so that alike hosts have
equal ones and are decided about once, and the ages beside it, which are
looked at each time.
"""

from collections.abc import Mapping
import types
import typing


def _is_fresh(
    age: float, limit: float, max_age: float, clock_skew: float
) -> bool:
    return -clock_skew <= age <= limit and age <= max_age


class Evidence(typing.NamedTuple):
    """What a third party says of one host, now.

    :ivar document: what it says, a JSON text in a form that is the
        mechanism's own; the same for alike hosts
    :ivar age: seconds since it last found the host good; negative for the
        future; None: never
    :ivar told: seconds since it last said anything about the host; None:
        never. For messages only.
    :ivar max_age: seconds after which that no longer counts, by the option
    :ivar clock_skew: seconds by which it may seem to come from the future
    :ivar trouble: why it cannot be asked at present; for messages only
    :ivar agent: what stands for the host there; for messages only
    :ivar who: who the third party is; for messages only
    """

    document: str
    age: float | None
    told: float | None
    max_age: float
    clock_skew: float
    trouble: str = ''
    agent: str = ''
    who: str = ''

    def is_fresh(self, max_age: float) -> bool:
        """Whether it counts.

        :param max_age: seconds after which it does not, as the flavor has
            it; never laxer than the option
        """
        return self.age is not None and _is_fresh(
            self.age, max_age, self.max_age, self.clock_skew
        )


class Statement(typing.NamedTuple):
    """What a third party has said of one host; it does not grow old.

    Times are seconds since the epoch.

    :ivar good_at: when it last found the host good; None: never
    :ivar told_at: when it last said anything about it; None: never

    The others are those of :class:`Evidence`.
    """

    document: str
    good_at: float | None
    told_at: float | None
    max_age: float
    clock_skew: float
    trouble: str = ''
    agent: str = ''
    who: str = ''

    def at(self, now: float) -> Evidence:
        """What it is worth at a time."""
        return Evidence(
            self.document,
            None if self.good_at is None else now - self.good_at,
            None if self.told_at is None else now - self.told_at,
            *self[3:],
        )

    def is_fresh(self, now: float, max_age: float) -> bool:
        """Whether it counts at a time, see :class:`Evidence`."""
        return self.good_at is not None and _is_fresh(
            now - self.good_at, max_age, self.max_age, self.clock_skew
        )


#: By the name of the mechanism: that nobody says or has said anything.
NO_EVIDENCE: Mapping[str, Evidence] = types.MappingProxyType({})
NO_STATEMENTS: Mapping[str, Statement] = types.MappingProxyType({})
