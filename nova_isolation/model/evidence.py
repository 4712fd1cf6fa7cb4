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

"""What a third party reports about a host, as the decision takes it.

The counterpart of the facts (:mod:`nova_isolation.model.facts`), which are
the host's own word. The document has neither names nor times, so that alike
hosts have equal documents and are decided about once. The times are beside
the document and are compared with the clock at each decision.
"""

import bisect
from collections.abc import Mapping
from collections.abc import Sequence
import math
import types
import typing


class Evidence(typing.NamedTuple):
    """What a third party has reported about one host.

    Times are seconds since the epoch. Without ``now`` the evidence can be
    kept, because nothing in it grows old; :meth:`at` adds the time.

    :ivar document: the statement, a JSON text in a form that is the
        mechanism's own; equal for alike hosts
    :ivar good_at: when the third party last found the host good; None: never
    :ivar reported_at: when the third party last reported about the host;
        None: never. For messages only.
    :ivar max_age: seconds after which a good statement no longer counts, by
        the option
    :ivar clock_skew: seconds by which it may be dated in the future
    :ivar trouble: why the third party cannot be asked at present, in words;
        for messages only
    :ivar agent: the third party's name of the host; for messages only
    :ivar verifier: the third party; for messages only
    :ivar now: the time of the decision. NaN: unknown, and the evidence is
        not fresh by any limit.
    """

    document: str
    good_at: float | None
    reported_at: float | None
    max_age: float
    clock_skew: float
    trouble: str = ''
    agent: str = ''
    verifier: str = ''
    now: float = math.nan

    def at(self, now: float) -> 'Evidence':
        """Return this evidence with a time.

        :param now: seconds since the epoch
        """
        return self._replace(now=now)

    @property
    def age(self) -> float | None:
        """Seconds since the host was last found good.

        Negative for a time in the future; None: never found good.
        """
        return None if self.good_at is None else self.now - self.good_at

    @property
    def report_age(self) -> float | None:
        """Seconds since the last report about the host; None: never."""
        if self.reported_at is None:
            return None
        return self.now - self.reported_at

    def is_fresh(self, max_age: float) -> bool:
        """Return whether the evidence counts at its time.

        :param max_age: the limit of the flavor in seconds; it can only be
            stricter than that of the option
        """
        return self.is_fresh_at(self.now, max_age)

    def is_fresh_at(self, now: float, max_age: float) -> bool:
        """Return whether the evidence counts at another time.

        The scheduler asks this once for each host, so nothing is built here.

        :param now: seconds since the epoch
        :param max_age: see :meth:`is_fresh`
        """
        good_at = self.good_at
        if good_at is None:
            return False
        age = now - good_at
        # False for NaN as well.
        return -self.clock_skew <= age <= max_age and age <= self.max_age

    def band(self, now: float, limits: Sequence[float]) -> object:
        """Return how the age of this evidence stands to limits.

        Two pieces of evidence that differ only in their times, and are in the
        same band, are refused for the same reasons.

        :param now: seconds since the epoch
        :param limits: maximum ages in seconds, ascending; at least one
        """
        good_at = self.good_at
        if good_at is None:
            return None
        age = now - good_at
        early, late = age < -self.clock_skew, age > self.max_age
        if age <= limits[0] and not early and not late:
            # Fresh by all limits, as nearly all are.
            return True
        return early, late, age < 0, bisect.bisect_left(limits, age)


#: By the name of the mechanism: no third party has reported anything.
NO_EVIDENCE: Mapping[str, Evidence] = types.MappingProxyType({})
