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

"""The statement of a compute host about one guest.

:mod:`nova_isolation.evidence.statement_form` has it as bytes.
"""

from collections.abc import Mapping
import dataclasses
import enum
import re

#: A nonce that somebody may ask for.
NONCE = re.compile('[0-9A-Za-z_.~-]{8,128}')


class Audience(enum.Enum):
    """For whom a statement is made."""

    #: for admins and auditors: what was read, and from which host
    OPERATOR = 'operator'
    #: for the owner of the server: neither what was read nor the host
    OWNER = 'owner'


class Occasion(enum.Enum):
    """Why the guest was verified."""

    #: started, or arrived, and still paused
    START = 'start'
    #: the running guest was verified in turn
    WATCH = 'watch'
    #: somebody asked for it
    ASKED = 'asked'


class KeyKind(enum.Enum):
    """Where the key is that signs."""

    #: in the TPM of the host, usable only after the launch in which it was
    #: made
    TPM = 'tpm'
    #: in a file: whoever could read the file can sign
    FILE = 'file'


class Mode(enum.Enum):
    """What the host does with a guest that does not meet its flavor."""

    ENFORCE = 'enforce'
    AUDIT = 'audit'


@dataclasses.dataclass(frozen=True)
class Subject:
    """The guest that a statement is about.

    :ivar uuid: the UUID of Nova's instance
    :ivar boot: tells this run of the guest from every other run, 32
        hexadecimal digits without a meaning of their own
    :ivar domain: SHA-256 of the domain's XML as libvirt has it, hexadecimal
    """

    uuid: str
    boot: str
    domain: str


@dataclasses.dataclass(frozen=True)
class Proof:
    """What was read from the guest about one requirement.

    :ivar requirement: the extra spec that is proven
    :ivar read: what was read, one printable line; None for an owner
    """

    requirement: str
    read: str | None


@dataclasses.dataclass(frozen=True)
class Unmet:
    """A requirement that the guest does not meet, or that was not proven.

    What was found instead may name another guest, so it is not here.

    :ivar requirement: the extra spec
    :ivar code: the reason code
    """

    requirement: str
    code: str


@dataclasses.dataclass(frozen=True)
class Host:
    """The host that states it.

    :ivar name: Nova's name of the compute service
    :ivar facts: SHA-256 of the facts document that the host published
    :ivar agent: the name by which the verifier knows the host; None: no
        verifier has reported about the host
    :ivar quote_age: seconds between the last good quote and the
        verification; None: no good quote
    """

    name: str
    facts: str
    agent: str | None = None
    quote_age: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Statement:
    """A statement.

    :ivar subject: the guest
    :ivar audience: for whom the statement is made
    :ivar occasion: why the guest was verified
    :ivar requirements: extra spec -> value, what the flavor asks for
    :ivar proofs: what was read
    :ivar unmet: what is not met
    :ivar host: the host; None for an owner
    :ivar mode: what the host does with a guest that does not meet its flavor
    :ivar started: when the verification began, UTC, as
        ``2026-11-26T12:00:00Z``
    :ivar finished: when the verification ended
    :ivar nonce: what the asker wanted to find here; None: nobody asked
    :ivar request_id: Nova's id of the request in which the guest was
        verified; None: there was none
    :ivar key: where the key is that signs
    :ivar version: the version of nova-isolation that verified
    """

    subject: Subject
    audience: Audience
    occasion: Occasion
    requirements: Mapping[str, str]
    proofs: tuple[Proof, ...]
    unmet: tuple[Unmet, ...]
    host: Host | None
    mode: Mode
    started: str
    finished: str
    nonce: str | None
    request_id: str | None
    key: KeyKind
    version: str

    @property
    def verified(self) -> bool:
        """Whether each requirement is proven, and nothing is unmet."""
        proven = {one.requirement for one in self.proofs}
        return (
            bool(self.requirements)
            and not self.unmet
            and proven == set(self.requirements)
        )
