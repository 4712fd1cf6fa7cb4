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

"""The requirements of a flavor, parsed from its extra specs."""

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses

from nova_isolation.model import reasons
from nova_isolation.model import vocabulary


@dataclasses.dataclass(frozen=True)
class Requirement:
    """One valid extra spec of a flavor.

    :ivar key: the extra spec
    :ivar mechanism: the name of the mechanism that owns the extra spec
    :ivar values: the words of the value, sorted, each once
    :ivar beside: (key, value) pairs: the other requirements that the flavor
        has of the same mechanism
    """

    key: str
    mechanism: str
    values: tuple[str, ...]
    # Not compared: it says nothing about this requirement itself.
    beside: tuple[tuple[str, str], ...] = dataclasses.field(
        default=(), compare=False
    )

    @property
    def value(self) -> str:
        """The value as a flavor would have it."""
        return ','.join(self.values)

    def unmet(
        self, reason: reasons.Reason, found: str, wanted: str = ''
    ) -> reasons.Unmet:
        """Return this requirement as an unmet one.

        :param reason: why the requirement is not met
        :param found: what was found instead
        :param wanted: the part of the value that is not met, by default the
            whole value
        """
        return reasons.Unmet(
            reason.code, self.key, wanted or self.value, found
        )


@dataclasses.dataclass(frozen=True)
class Requirements:
    """All requirements of a flavor.

    :ivar items: the requirements, sorted by key
    :ivar problems: why the extra specs cannot be enforced. Where there are
        problems, no host is accepted
        (:func:`nova_isolation.decision.host_facts.decide`).
    """

    items: tuple[Requirement, ...] = ()
    problems: tuple[reasons.Unmet, ...] = ()

    def __bool__(self) -> bool:
        """Return whether the flavor is tagged."""
        return bool(self.items or self.problems)

    def get(self, key: str) -> Requirement | None:
        """Return the requirement of an extra spec, or None."""
        return next((r for r in self.items if r.key == key), None)

    def of(self, mechanism: str) -> tuple[Requirement, ...]:
        """Return the requirements that a mechanism owns."""
        return tuple(r for r in self.items if r.mechanism == mechanism)

    @property
    def extra_specs(self) -> dict[str, str]:
        """The extra specs from which the requirements were parsed."""
        return {r.key: r.value for r in self.items}


#: The requirements of an untagged flavor.
NOTHING = Requirements()


def is_tagged(extra_specs: Mapping[str, str] | None) -> bool:
    """Return whether a flavor has an extra spec of this project.

    An invalid extra spec counts as well.
    """
    return any(map(vocabulary.is_ours, extra_specs or ()))


def parse(
    extra_specs: Mapping[str, str] | None,
    known: vocabulary.Vocabulary,
) -> Requirements:
    """Parse the extra specs of a flavor.

    An extra spec that is not valid raises no error. It becomes a problem of
    the result, and no host is accepted for a result with problems. So no
    caller can forget to check.

    :param extra_specs: all extra specs of the flavor; those of other
        namespaces are ignored
    :param known: the vocabulary
    """
    items: list[Requirement] = []
    problems: list[reasons.Unmet] = []
    for key in sorted(filter(vocabulary.is_ours, extra_specs or ())):
        text = (extra_specs or {})[key]
        row = known.rows.get(key)
        if row is None:
            problems.append(_without_row(key, text, known))
            continue
        try:
            words = row.parse(text)
        except ValueError as error:
            problems.append(
                reasons.Unmet(
                    reasons.SPEC_INVALID.code, key, str(error), repr(text)
                )
            )
        else:
            items.append(Requirement(key, known.owner(key), words))
    if items or problems:
        # An untagged flavor is nobody's business, whatever keys it has.
        problems += _near_misses(extra_specs or (), known)
    result = Requirements(
        tuple(_with_others(item, items) for item in items), tuple(problems)
    )
    return dataclasses.replace(
        result, problems=(*problems, *_conflicts(result, known))
    )


def _with_others(
    item: Requirement, items: Iterable[Requirement]
) -> Requirement:
    """Return a requirement that knows the others of its mechanism."""
    beside = tuple(
        (other.key, other.value)
        for other in items
        if other.mechanism == item.mechanism and other is not item
    )
    return dataclasses.replace(item, beside=beside)


def _without_row(
    key: str, text: object, known: vocabulary.Vocabulary
) -> reasons.Unmet:
    """Return why no loaded mechanism knows an extra spec."""
    if vocabulary.is_reserved(key):
        return reasons.Unmet(
            reasons.SPEC_RESERVED.code,
            key,
            'a release that enforces it',
            'a reserved name',
        )
    owner = known.unavailable_owner(key)
    if owner is not None:
        return reasons.Unmet(
            reasons.MECHANISM_UNAVAILABLE.code,
            key,
            str(text),
            f'the mechanism {owner} is not loaded',
        )
    # Imported here because it is seldom needed.
    import difflib

    near = difflib.get_close_matches(key, known.rows, n=1)
    return reasons.Unmet(
        reasons.SPEC_UNKNOWN.code,
        key,
        near[0] if near else 'one of ' + ', '.join(sorted(known.rows)),
        'an unknown extra spec',
    )


def _near_misses(
    keys: Iterable[str], known: vocabulary.Vocabulary
) -> list[reasons.Unmet]:
    """Return the keys beside ours that may be meant for us."""
    found = []
    for key in sorted(keys):
        meant = known.near_miss(key)
        if meant is not None:
            found.append(
                reasons.Unmet(
                    reasons.SPEC_UNKNOWN.code,
                    key,
                    meant,
                    f'a key without the namespace {vocabulary.NAMESPACE}',
                )
            )
    return found


def _conflicts(
    wanted: Requirements, known: vocabulary.Vocabulary
) -> list[reasons.Unmet]:
    """Return the pairs of extra specs that no host can meet together."""
    found = []
    present = {r.key: r for r in wanted.items}
    words = {r.key: r.values for r in wanted.items}
    # An invalid companion is in the problems already.
    broken = {p.key for p in wanted.problems}
    for item in wanted.items:
        row = known.rows[item.key]
        for key, value in row.missing(words):
            if key in broken:
                continue
            other = present.get(key)
            found.append(
                item.unmet(
                    reasons.SPEC_CONFLICT,
                    f'{key}={other.value}' if other else f'no {key}',
                    f'{key}={value} beside {item.key}={item.value}',
                )
            )
        found += [
            item.unmet(
                reasons.SPEC_CONFLICT,
                f'{key}={present[key].value}',
                f'{key} with one of {", ".join(allowed)} beside '
                f'{item.key}={item.value}',
            )
            for key, allowed in row.clashing(words)
        ]
    return found
