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

"""A verifier's attestation result for a host, without names and times.

The term is that of RFC 9334 (RATS): a verifier appraises the evidence of an
attester, here quotes of a host's TPM, and produces an attestation result.
"""

import dataclasses
import json

from nova_isolation.model import facts
from nova_isolation.model import reasons
from nova_isolation.model import typed_section

#: The mechanism that decides on attestation results.
MECHANISM = 'attested'

#: The last quote was good.
GOOD = 'good'
#: The last quote, or the lack of one, is a failure by the verifier's policy.
FAILED = 'failed'
#: The verifier has no result yet.
PENDING = 'pending'
#: The verifier has revoked its trust since the last result.
REVOKED = 'revoked'
#: It is not known which agent runs on the host.
AMBIGUOUS = 'ambiguous'

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(',', ':'))

STATES = frozenset({GOOD, FAILED, PENDING, REVOKED, AMBIGUOUS})

#: The PCRs that any program of the host can reset and extend, so that they can
#: get any value that a verifier may have approved: the one for debugging and
#: the one for applications. TCG PC Client Platform TPM Profile, "PCR
#: Attributes".
RESETTABLE = frozenset({16, 23})

#: The PCRs that nothing but a dynamic launch sets to zero. It also does so to
#: PCR 17, and extends that one at once. An operating system can set PCR 20 to
#: 22 to zero from locality 2, without a launch. Same table.
_ZERO_BY_LAUNCH = frozenset({18, 19})

#: The highest locality, which PCR 0 begins with where the firmware has begun
#: at that locality. TCG TPM 2.0 Library, part 1, "Initializing PCR".
_LAST_LOCALITY = 4


@dataclasses.dataclass(frozen=True)
class AttestationResult:
    """What a verifier's appraisal of a host found.

    :ivar state: one of :data:`STATES`
    :ivar found: the verifier's reason in words, e.g. ``invalid quote
        (state 9)``
    :ivar pcrs: the PCRs that the policy covers, and the approved values:
        ``'17=HEX,HEX'``, sorted by number, lower case
    :ivar boot: the policy covers the measured boot
    :ivar runtime: the policy covers run-time integrity (IMA)
    """

    state: str
    found: str = ''
    pcrs: tuple[str, ...] = ()
    boot: bool = False
    runtime: bool = False

    def approved(self) -> dict[int, tuple[str, ...]]:
        """Return the approved values of each PCR that the policy covers.

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


def is_launched(number: int, value: str) -> bool:
    """Return whether a PCR can have a value only after a launch.

    PCR 17 to 22 are all ones from the start of the host until a dynamic
    launch, the others are zero until something is measured into them: TCG PC
    Client Platform TPM Profile, "PCR Initial and Reset Values". A value of all
    ones or zeros is also refused for a PCR that does not begin with it,
    because no hash yields it.

    :param number: of the PCR
    :param value: hexadecimal, of any digest
    """
    digits = value.lower()
    if not digits.strip('f'):
        return False
    if not digits.strip('0'):
        return number in _ZERO_BY_LAUNCH
    if number == 0 and not digits[:-1].strip('0'):
        return int(digits[-1], 16) > _LAST_LOCALITY
    return True


def dumps(result: AttestationResult) -> str:
    """Return the result as a document. Equal results have equal texts."""
    return _ENCODER.encode(typed_section.write(result))


def loads(document: str) -> AttestationResult:
    """Read a result.

    :raises nova_isolation.model.facts.FactsError: the document is malformed
    """
    try:
        value = json.loads(document)
    except (ValueError, TypeError, RecursionError) as error:
        raise facts.FactsError(
            reasons.FACTS_MALFORMED, f'evidence that is not JSON: {error}'
        ) from None
    result = typed_section.read(AttestationResult, value)
    if result.state not in STATES:
        raise facts.FactsError(
            reasons.FACTS_MALFORMED, f'the state {result.state!r}'
        )
    return result
