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

"""What an emulator is worth to a cloud: the answer of ``qemu examine``."""

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses

from nova_isolation.mechanisms.qemu import catalogue
from nova_isolation.mechanisms.qemu import extra_specs
from nova_isolation.mechanisms.qemu import groups
from nova_isolation.mechanisms.qemu import guest_needs
from nova_isolation.probes import program

_HARDENING = next(
    row.values
    for row in extra_specs.ROWS
    if row.key == 'isolation:qemu_hardening'
)


@dataclasses.dataclass(frozen=True)
class Examination:
    """An emulator, in the words of flavors.

    :ivar path: what was examined
    :ivar executable: the file that runs, another one for a wrapper
    :ivar size: of that file, in bytes
    :ivar hardening: the words of ``isolation:qemu_hardening`` that it meets
    :ivar lacking: the words that it does not meet
    :ivar sandbox: whether it can install its seccomp filter
    :ivar present: the components that it has
    :ivar absent: the components that it has not
    :ivar lost: what guests of Nova cannot have on it
    """

    path: str
    executable: str
    size: int
    hardening: tuple[str, ...]
    lacking: tuple[str, ...]
    sandbox: bool
    present: tuple[str, ...]
    absent: tuple[str, ...]
    lost: tuple[guest_needs.Need, ...]

    @property
    def used(self) -> Mapping[str, tuple[str, ...]]:
        """What guests of Nova use -> the present components it is made of."""
        uses = {
            need.use: tuple(n for n in self.present if n in need.components)
            for need in guest_needs.NEEDS
        }
        return {use: names for use, names in uses.items() if names}


def of(emulator: program.Emulator) -> Examination:
    """Return the examination of an emulator that was probed."""
    there = catalogue.present(emulator.types)
    return Examination(
        emulator.path,
        emulator.executable,
        emulator.identity.size,
        tuple(word for word in _HARDENING if word in emulator.hardening),
        tuple(word for word in _HARDENING if word not in emulator.hardening),
        emulator.sandbox,
        tuple(name for name in catalogue.CATALOGUE if name in there),
        tuple(name for name in catalogue.CATALOGUE if name not in there),
        guest_needs.missing(emulator.types),
    )


def as_json(found: Examination) -> dict[str, object]:
    """Return an examination as JSON values."""
    return {
        'path': found.path,
        'executable': found.executable,
        'size': found.size,
        'hardening': list(found.hardening),
        'lacking': list(found.lacking),
        'sandbox': found.sandbox,
        'present': list(found.present),
        'absent': list(found.absent),
        'used': {use: list(names) for use, names in found.used.items()},
        'lost': [
            {'use': need.use, 'without': need.without, 'always': need.always}
            for need in found.lost
        ],
    }


def as_text(found: Examination) -> Iterator[str]:
    """Return an examination as lines for people."""
    yield f'{found.path} is a QEMU of {found.size} bytes.'
    if found.executable != found.path:
        yield f'It runs {found.executable}.'
    yield f'Hardening: {_words(found.hardening)}; lacking: ' + (
        f'{_words(found.lacking)}.'
    )
    yield 'Seccomp filter (-sandbox): ' + ('yes.' if found.sandbox else 'no.')
    total = len(found.present) + len(found.absent)
    yield (
        f'Components present ({len(found.present)} of {total}): '
        f'{_words(groups.shortest(found.present))}.'
    )
    yield (
        f'Components absent ({len(found.absent)} of {total}): '
        f'{_words(groups.shortest(found.absent))}.'
    )
    if found.used:
        yield 'Of the components that are present, guests of Nova use:'
    for use, names in found.used.items():
        yield f'  {" or ".join(names)}, for {use}.'
    if found.lost:
        yield 'Guests of Nova cannot have:'
    for need in found.lost:
        yield f'  {need.use}: {need.without}.'


def _words(words: tuple[str, ...]) -> str:
    return ','.join(words) or 'none'
