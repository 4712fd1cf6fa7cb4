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

"""A server of a tagged flavor, as Nova's databases hold it."""

from collections.abc import Mapping
import dataclasses
import functools
import json
import re

from nova_isolation.model import examination
from nova_isolation.model import reasons

VERIFY = 'isolation_verify'
REVERIFY = 'isolation_reverify'

#: The instance action events of this project.
EVENTS = ('isolation_decide', VERIFY, REVERIFY)

_SUCCESS = 'Success'

#: States in which Nova keeps a server on its host and the guest does not run.
_NOT_RUNNING = ('stopped', 'suspended', 'shelved')
_CODE = re.compile(r'\[(isolation(?:\.[a-z][a-z0-9_]*){2})\]')


@dataclasses.dataclass(frozen=True)
class Event:
    """One of the events that hosts write about a server.

    :ivar event: its name, one of :data:`EVENTS`
    :ivar result: ``Success`` or ``Error``; '' where Nova has none
    :ivar at: when it ended, UTC, as ``2026-11-26T12:00:00Z``; '' unknown
    :ivar request_id: the request to which it belongs
    :ivar details: what is unmet, as text; of a success what was read back,
        as JSON. For admins.
    """

    event: str
    result: str
    at: str
    request_id: str
    details: str

    @property
    def succeeded(self) -> bool:
        """Whether the host found the guest as its flavor asks."""
        return self.result == _SUCCESS

    @property
    def codes(self) -> tuple[str, ...]:
        """The reason codes that the details name, each once."""
        return tuple(dict.fromkeys(_CODE.findall(self.details)))

    @property
    def read_back(self) -> examination.Examination | None:
        """What a host read from the guest, and when.

        :returns: None for the success of a host whose release does not write
            what it read, or where the details cannot be read
        """
        if not self.succeeded:
            return examination.Examination(
                self.at,
                unmet=tuple(
                    reasons.Unmet(code, '', '', '') for code in self.codes
                ),
            )
        try:
            return examination.load(json.loads(self.details))
        except (ValueError, RecursionError, examination.ExaminationError):
            return None


@dataclasses.dataclass(frozen=True)
class Server:
    """A server of a tagged flavor.

    :ivar uuid: its ID
    :ivar name: its name, words of its owner
    :ivar project_id: the project that owns it
    :ivar host: the compute host that has it; '' for none
    :ivar vm_state: Nova's state of it, e.g. ``active``
    :ivar flavor: the name of its flavor
    :ivar extra_specs: those of the copy of the flavor in the server
    :ivar cell: as :attr:`nova_isolation.report.picture.ComputeNode.cell`
    :ivar events: the events about it, the newest first
    """

    uuid: str
    name: str
    project_id: str
    host: str
    vm_state: str
    flavor: str
    extra_specs: Mapping[str, str]
    cell: str = ''
    events: tuple[Event, ...] = ()

    @functools.cached_property
    def newest(self) -> Event | None:
        """The newest event that says what was read from the guest."""
        return next(
            (e for e in self.events if e.event in (VERIFY, REVERIFY)), None
        )

    @property
    def violates_since(self) -> Event | None:
        """The event by which the violation of the running guest was found.

        :returns: None where the guest does not run, or violates nothing as
            far as is known
        """
        if self.vm_state in _NOT_RUNNING or not self.violates:
            return None
        found = self.newest
        for event in self.events:
            if event.event == REVERIFY and not event.succeeded:
                found = event
            elif event.event in (VERIFY, REVERIFY):
                # A start of the guest, or what was right again.
                break
        return found

    @property
    def violates(self) -> bool:
        """Whether the newest look at the running guest found a violation."""
        newest = self.newest
        return (
            newest is not None
            and newest.event == REVERIFY
            and not newest.succeeded
        )
