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

"""What a verifier holds of a host, apart from its name and the times."""

import dataclasses
import json

from nova_isolation.model import facts
from nova_isolation.model import reasons
from nova_isolation.model import typed_section

#: The last quote was good.
GOOD = 'good'
#: The verifier judged the last quote, or the lack of one, as a failure.
FAILED = 'failed'
#: The verifier has no verdict.
PENDING = 'pending'
#: The verifier has called to take its verdict back.
REVOKED = 'revoked'
#: Nobody knows which agent is the host's.
AMBIGUOUS = 'ambiguous'

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(',', ':'))

STATES = frozenset({GOOD, FAILED, PENDING, REVOKED, AMBIGUOUS})

#: What a PCR from 17 to 22 holds before any launch was measured, for each
#: size of a digest: TCG PC Client Platform TPM Profile, 4.6.2 "PCR Initial
#: and Reset Values".
_NEVER_LAUNCHED = frozenset('f' * size for size in (40, 64, 96, 128))


@dataclasses.dataclass(frozen=True)
class AttestationResult:
    """What a verifier holds of a host.

    :ivar state: one of :data:`STATES`
    :ivar found: the verifier's verdict in words, e.g. ``invalid quote
        (state 9)``
    :ivar pcrs: the PCRs that it judges and the values that it approves of:
        ``'17=HEX,HEX'``, sorted by number, lower case
    :ivar boot: measured boot is part of what it judges
    :ivar runtime: run-time integrity (IMA) is
    """

    state: str
    found: str = ''
    pcrs: tuple[str, ...] = ()
    boot: bool = False
    runtime: bool = False

    def approved(self) -> dict[int, tuple[str, ...]]:
        """The PCRs that are judged, and the values that are approved of.

        :raises nova_isolation.model.facts.FactsError: they are malformed
        """
        result: dict[int, tuple[str, ...]] = {}
        for entry in self.pcrs:
            number, _, values = entry.partition('=')
            if not (number.isascii() and number.isdecimal()) or not values:
                raise facts.FactsError(
                    reasons.FACTS_MALFORMED, f'a policy of PCR {entry!r}'
                )
            result[int(number)] = tuple(values.split(','))
        return result


def is_launched(value: str) -> bool:
    """Whether a PCR's value, hexadecimal, is one after a launch."""
    return value.lower() not in _NEVER_LAUNCHED


def dumps(standing: AttestationResult) -> str:
    """The standing as a document: the same text for the same standing."""
    return _ENCODER.encode(typed_section.write(standing))


def loads(document: str) -> AttestationResult:
    """The standing of a document.

    :raises nova_isolation.model.facts.FactsError: it is malformed
    """
    try:
        value = json.loads(document)
    except (ValueError, TypeError, RecursionError) as error:
        raise facts.FactsError(
            reasons.FACTS_MALFORMED, f'evidence that is not JSON: {error}'
        ) from None
    standing = typed_section.read(AttestationResult, value)
    if standing.state not in STATES:
        raise facts.FactsError(
            reasons.FACTS_MALFORMED, f'the state {standing.state!r}'
        )
    return standing
