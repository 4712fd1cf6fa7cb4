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

"""The result of a decision or of a verification, with all that led to it.

The guard, the watch and the steps of the driver make an :class:`Outcome` of
whatever they find out about a guest and give it to the sinks
(:mod:`nova_isolation.virt.guard.sink`). An outcome is complete: a sink needs
nothing beside it.
"""

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import datetime
import enum
import typing

from oslo_utils import timeutils

from nova_isolation.evidence import statement
from nova_isolation.mechanisms import base
from nova_isolation.model import evidence as evidences
from nova_isolation.model import examination
from nova_isolation.model import reasons
from nova_isolation.virt import exception
from nova_isolation.virt.guard import guest_request


class Stage(enum.Enum):
    """When in the life of a guest something was found out about it."""

    #: before the guest is made, or before it is moved or stopped: decided
    #: on the facts of the host
    DECIDE = 'decide'
    #: the guest is started and still paused: verified
    VERIFY = 'verify'
    #: the guest runs: verified again
    REVERIFY = 'reverify'


class Result(enum.Enum):
    """What came of it.

    A decision that accepts a guest makes no outcome: the guest is verified
    next.
    """

    #: the guest meets its requirements
    ACCEPTED = 'accepted'
    #: the guest does not meet its requirements and does not run
    REFUSED = 'refused'
    #: the guest does not meet its requirements; audit mode lets it run
    RECORDED = 'recorded'
    #: a refusal that the sinks have seen already turns out to be one for
    #: which Nova writes no fault
    FAULT_MISSING = 'fault_missing'
    #: a running guest no longer meets its requirements
    VIOLATED = 'violated'
    #: the violation is known; what is done about it has changed
    STILL_VIOLATED = 'still_violated'
    #: a running guest meets its requirements again
    RESTORED = 'restored'
    #: a guest that violated its requirements no longer runs on this host
    ENDED = 'ended'


#: What is done about a guest, beside the values of ``[isolation]
#: on_violation``: nothing; it is powered off.
NO_ACTION, POWER_OFF = '', 'power_off'


def read_back(
    proofs: Iterable[base.Proof],
    unmet: tuple[reasons.Unmet, ...],
    at: datetime.datetime,
) -> examination.Examination:
    """Return what was read from a guest, in the form for others.

    :param proofs: what was read back
    :param unmet: what is unmet
    :param at: when the verification ended, UTC, naive
    """
    return examination.Examination(
        at.strftime('%Y-%m-%dT%H:%M:%SZ'),
        tuple(examination.Read(one.key, one.found) for one in proofs),
        unmet,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """What was found out about one guest.

    :ivar request: what is asked for the guest
    :ivar stage: when it was found out
    :ivar result: what came of it
    :ivar unmet: the requirements that are not met, or could not be verified
    :ivar resolved: the requirements that a violation named which is over now
    :ivar proofs: what was read back from the guest; at least one for every
        requirement where the guest was verified and nothing is unmet
    :ivar failures: name of a mechanism that failed, and its exception
    :ivar facts: the facts document on which it was decided; '' where it was
        not decided on facts of this host
    :ivar evidence: name of a mechanism -> what a third party stated of the
        host at that time
    :ivar subject: which run of the guest was verified, with which XML; None
        where no sink needs it, or that could not be read
    :ivar started: when the decision or verification began, UTC, naive
    :ivar finished: when it ended
    :ivar action: what is done about the guest
    :ivar instance: Nova's instance; None where it is not at hand or the
        database cannot be asked
    :ivar destination: the name of the host that was decided about, if it is
        another host than this one
    :ivar nova_writes_fault: whether Nova writes a fault for this refusal
    """

    request: guest_request.GuestRequest
    stage: Stage
    result: Result
    unmet: tuple[reasons.Unmet, ...] = ()
    resolved: tuple[reasons.Unmet, ...] = ()
    proofs: tuple[base.Proof, ...] = ()
    failures: tuple[tuple[str, BaseException], ...] = ()
    facts: str = ''
    evidence: Mapping[str, evidences.Evidence] = dataclasses.field(
        default_factory=dict
    )
    subject: statement.Subject | None = None
    started: datetime.datetime = dataclasses.field(
        default_factory=timeutils.utcnow
    )
    finished: datetime.datetime = dataclasses.field(
        default_factory=timeutils.utcnow
    )
    action: str = NO_ACTION
    instance: typing.Any = None
    destination: str = ''
    nova_writes_fault: bool = True

    @property
    def uuid(self) -> str:
        """The UUID of the instance."""
        return self.request.uuid

    @property
    def read_back(self) -> examination.Examination:
        """What was read from the guest, in the form for others."""
        return read_back(self.proofs, self.unmet, self.finished)

    @property
    def error(self) -> exception.GuestRefused | None:
        """What is unmet, as an exception; None if nothing is."""
        if not self.unmet:
            return None
        if self.stage is Stage.REVERIFY:
            return exception.GuestViolated(self.unmet)
        return exception.GuestRefused(self.unmet)
