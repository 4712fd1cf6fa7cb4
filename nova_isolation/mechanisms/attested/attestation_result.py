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

#: The value of PCRs 17 to 22 before any launch was measured, for each
#: size of a digest: TCG PC Client Platform TPM Profile, 4.6.2 "PCR Initial
#: and Reset Values".
_NEVER_LAUNCHED = frozenset('f' * size for size in (40, 64, 96, 128))


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


def is_launched(value: str) -> bool:
    """Return whether a PCR value (hexadecimal) is one after a launch."""
    return value.lower() not in _NEVER_LAUNCHED


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
