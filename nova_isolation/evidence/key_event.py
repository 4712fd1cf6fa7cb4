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

"""What the log says about the keys of hosts: its other kind of entry.

So an auditor sees a key that was enrolled for an hour, and under which key a
host could sign when.
"""

import dataclasses
import enum
import re

from nova_isolation.evidence import envelope
from nova_isolation.evidence import errors
from nova_isolation.evidence import head as heads
from nova_isolation.evidence import statement as statements
from nova_isolation.evidence import strict_json

#: The schema of an entry.
VERSION = 1
#: The largest size of an entry, in bytes.
MAX_BYTES = 8192

_LINE = re.compile('[^\x00-\x1f\x7f]{0,255}')


class Event(enum.Enum):
    """What became of a key."""

    #: the log takes statements by the key from now on
    ENROLLED = 'enrolled'
    #: no longer, because the host has enrolled another one
    REPLACED = 'replaced'
    #: never again: an administrator has revoked the key
    REVOKED = 'revoked'
    #: no longer: the host has failed at its verifier
    LOST = 'lost'


@dataclasses.dataclass(frozen=True)
class KeyEvent:
    """An event of a key.

    :ivar event: what became of it
    :ivar key: the public key, PEM
    :ivar key_id: the id of that key
    :ivar kind: where the key is
    :ivar host: the name of the compute service, '' where the log names hosts
        by their agents
    :ivar agent: the agent of the host; '' for a key in a file
    :ivar time: when it happened, seconds since the epoch by the log's clock
    :ivar why: for people
    """

    event: Event
    key: str
    key_id: str
    kind: statements.KeyKind
    host: str
    agent: str
    time: int
    why: str


def dumps(event: KeyEvent) -> bytes:
    """Return an event as the bytes of an entry, in its one form."""
    return strict_json.dumps(
        {
            'agent': event.agent,
            'event': event.event.value,
            'host': event.host,
            'key': event.key,
            'keyid': event.key_id,
            'kind': event.kind.value,
            'time': event.time,
            'v': VERSION,
            'why': event.why,
        }
    )


def loads(data: bytes) -> KeyEvent:
    """Read an entry.

    :raises nova_isolation.evidence.errors.BadEvidence: it is none about a
        key, or not in its one form
    """
    value = strict_json.loads(data, MAX_BYTES)
    try:
        found = KeyEvent(
            Event(value['event']),
            value['key'],
            value['keyid'],
            statements.KeyKind(value['kind']),
            value['host'],
            value['agent'],
            value['time'],
            value['why'],
        )
        is_event = (
            envelope.trusted(found.key.encode()).keyid == found.key_id
            and heads.is_number(found.time)
            and all(
                _LINE.fullmatch(one)
                for one in (found.host, found.agent, found.why)
            )
            and dumps(found) == data
        )
    except (ValueError, TypeError, LookupError, AttributeError):
        is_event = False
    if not is_event:
        raise errors.BadEvidence(
            errors.Code.RECEIPT,
            'wanted an entry about a key, found something else',
        )
    return found
