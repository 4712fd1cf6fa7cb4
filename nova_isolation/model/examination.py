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

"""What a host answers when it is asked to examine a running guest.

The answer travels through Nova: the driver adds it to the diagnostics of the
server, below the key :data:`KEY`. Nova passes on what a driver says there up
to microversion 2.47, and over RPC.

::

    {"at": "2026-11-26T12:00:00Z", "verified": true,
     "proofs": [{"requirement": "isolation:svirt", "read": "..."}],
     "unmet": []}
"""

from collections.abc import Iterable
import dataclasses
import re

from nova_isolation.model import errors
from nova_isolation.model import printable
from nova_isolation.model import reasons

#: The key in the diagnostics of a server.
KEY = 'isolation'

#: The most proofs, and the most unmet requirements, that are read of one
#: answer. The vocabulary is much smaller.
_MOST = 256

_TIME = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ')


class ExaminationError(errors.IsolationError):
    """The answer of a host is malformed. The message says how."""


@dataclasses.dataclass(frozen=True)
class Read:
    """What was read from the guest about one requirement.

    :ivar requirement: the extra spec that is proven
    :ivar read: the text that was read, one printable line
    """

    requirement: str
    read: str

    def __post_init__(self) -> None:
        for name in ('requirement', 'read'):
            text = printable.one_line(getattr(self, name))
            object.__setattr__(self, name, text)


@dataclasses.dataclass(frozen=True)
class Examination:
    """What a host read from a guest that runs.

    :ivar at: when the examination ended, UTC, as ``2026-11-26T12:00:00Z``
    :ivar proofs: what was read back
    :ivar unmet: the requirements that the guest does not meet, or that could
        not be verified
    """

    at: str
    proofs: tuple[Read, ...] = ()
    unmet: tuple[reasons.Unmet, ...] = ()

    @property
    def verified(self) -> bool:
        """Whether the guest meets its requirements: something proves them,
        and nothing speaks against them.
        """
        return bool(self.proofs) and not self.unmet

    def asked(self, keys: Iterable[str]) -> 'Examination':
        """Return the examination as it counts for a flavor.

        A requirement about which the host says nothing is not proven: the
        host may have another release of this software.

        :param keys: the extra specs of the flavor
        """
        named = {one.requirement for one in self.proofs}
        named |= {one.key for one in self.unmet}
        silent = tuple(
            reasons.Unmet(
                reasons.VERIFY_FAILED.code,
                key,
                'a proof',
                'nothing: the host does not mention the requirement',
            )
            for key in sorted(set(keys) - named)
        )
        return dataclasses.replace(self, unmet=self.unmet + silent)

    def dump(self) -> dict[str, object]:
        """Return the answer as JSON values."""
        return {
            'at': self.at,
            'verified': self.verified,
            'proofs': [dataclasses.asdict(one) for one in self.proofs],
            'unmet': [dataclasses.asdict(one) for one in self.unmet],
        }


def load(answer: object) -> Examination:
    """Read the answer of a host.

    :param answer: what :meth:`Examination.dump` returned, as it was received
    :raises ExaminationError: the answer is malformed
    """
    if not isinstance(answer, dict):
        raise ExaminationError(
            f'wanted an object, found a {type(answer).__name__}'
        )
    at = answer.get('at')
    if not isinstance(at, str) or not _TIME.fullmatch(at):
        raise ExaminationError(
            'at: wanted a time as 2026-11-26T12:00:00Z, found '
            + printable.one_line(repr(at), 100)
        )
    found = Examination(
        at,
        tuple(
            Read(**one)
            for one in _objects(answer, 'proofs', ('requirement', 'read'))
        ),
        tuple(
            reasons.Unmet(**one)
            for one in _objects(
                answer, 'unmet', ('code', 'key', 'wanted', 'found')
            )
        ),
    )
    if answer.get('verified') is not found.verified:
        raise ExaminationError(
            'verified contradicts the proofs and what is unmet'
        )
    return found


def _objects(
    answer: dict[str, object], name: str, keys: tuple[str, ...]
) -> list[dict[str, str]]:
    """The objects of a list, each with these texts and nothing else."""
    given = answer.get(name)
    if not isinstance(given, list) or len(given) > _MOST:
        raise ExaminationError(
            f'{name}: wanted a list of at most {_MOST} objects'
        )
    for one in given:
        if (
            not isinstance(one, dict)
            or set(one) != set(keys)
            or not all(isinstance(text, str) for text in one.values())
        ):
            raise ExaminationError(
                f'{name}: wanted objects with the texts {", ".join(keys)}'
            )
    return given
