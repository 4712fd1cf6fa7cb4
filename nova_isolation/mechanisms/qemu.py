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

"""The emulator: how it was built, what is in it, whether it is sandboxed."""

from collections.abc import Iterator
import dataclasses
import re

from nova_isolation import qemu_catalogue
from nova_isolation.mechanisms import base
from nova_isolation.model import facts
from nova_isolation.model import reasons
from nova_isolation.model import requirements
from nova_isolation.model import traits
from nova_isolation.model import typed_section
from nova_isolation.model import vocabulary
from nova_isolation.probes import program

_HARDENING = 'isolation:qemu_hardening'
_SANDBOX = 'isolation:qemu_sandbox'
_ABSENT = 'isolation:qemu_absent'

_COMPONENTS = tuple(qemu_catalogue.CATALOGUE)

# An assignment that is not commented out, as libvirt's virConfReadFile
# takes it; lines end with either character.
_SECCOMP_OPTION = re.compile(
    r'(?:^|[\r\n])[ \t]*seccomp_sandbox[ \t]*=[ \t]*([^#\r\n]*)'
)
_NUMBER = re.compile('[-+]?[0-9]+')
_SECCOMP_FILTER = 2


@dataclasses.dataclass(frozen=True)
class QemuFacts:
    """What is known of the emulator.

    :ivar hardening: the words of ``isolation:qemu_hardening`` that hold
    :ivar sandbox: whether guests run under QEMU's seccomp filter; None:
        unknown
    :ivar known: how many components of the catalogue the host looked for
    :ivar present: a number in base 16, bit N set: component N is there
    """

    hardening: tuple[str, ...]
    sandbox: bool | None
    known: int
    present: str

    def is_absent(self, component: str) -> bool | None:
        """Whether a component is absent; None: the host does not know it."""
        index = _COMPONENTS.index(component)
        if index >= self.known:
            return None
        return not int(self.present, 16) >> index & 1


class QemuMechanism(base.Mechanism[QemuFacts]):
    """``isolation:qemu_*``."""

    name = 'qemu'
    extra_specs = vocabulary.owned_by('qemu')

    def measure(self, host: base.Host) -> object:
        """The file of the emulator and its answers; libvirt's qemu.conf."""
        emulator = host.emulator()
        present = sum(
            1 << index
            for index, component in enumerate(_COMPONENTS)
            if emulator.types & set(qemu_catalogue.CATALOGUE[component])
        )
        return typed_section.write(
            QemuFacts(
                tuple(sorted(emulator.hardening)),
                _sandbox(emulator, host),
                len(_COMPONENTS),
                f'{present:x}',
            )
        )

    def read(self, section_: object) -> QemuFacts:
        """See the base class."""
        result = typed_section.read(QemuFacts, section_)
        if result.known < 0 or not re.fullmatch('[0-9a-f]+', result.present):
            raise facts.FactsError(
                reasons.FACTS_MALFORMED, 'not a map of components'
            )
        return result

    def unknown(self) -> reasons.Reason:
        """See the base class."""
        return reasons.QEMU_UNKNOWN

    def traits(self, facts: QemuFacts) -> frozenset[str]:
        """One trait each: a hardening, the sandbox, an absent component."""
        result = {traits.name('QEMU', word) for word in facts.hardening}
        if facts.sandbox:
            result.add(traits.name('QEMU', 'SANDBOX'))
        result.update(
            traits.name('QEMU_ABSENT', component)
            for component in _COMPONENTS
            if facts.is_absent(component)
        )
        return frozenset(result)

    def required_traits(
        self, requirement: requirements.Requirement
    ) -> frozenset[str]:
        """As :meth:`traits`."""
        if requirement.key == _SANDBOX:
            return frozenset({traits.name('QEMU', 'SANDBOX')})
        prefix = 'QEMU' if requirement.key == _HARDENING else 'QEMU_ABSENT'
        return frozenset(traits.name(prefix, w) for w in requirement.values)

    def judge(
        self, requirement: requirements.Requirement, facts: QemuFacts
    ) -> Iterator[reasons.Unmet]:
        """See the base class."""
        if requirement.key == _SANDBOX:
            if facts.sandbox is None:
                yield requirement.unmet(reasons.QEMU_UNKNOWN, 'unknown')
            elif not facts.sandbox:
                yield requirement.unmet(
                    reasons.QEMU_NO_SANDBOX, 'no seccomp filter'
                )
        elif requirement.key == _HARDENING:
            lacking = set(requirement.values) - set(facts.hardening)
            if lacking:
                yield requirement.unmet(
                    reasons.QEMU_NOT_HARDENED,
                    'built with ' + (','.join(facts.hardening) or 'none'),
                    ','.join(sorted(lacking)),
                )
        else:
            yield from _judge_absent(requirement, facts)

    def verify(
        self,
        guest: base.Guest,
        wanted: requirements.Requirements,
        facts: QemuFacts,
        host: base.Host,
    ) -> Iterator[base.Proof | reasons.Unmet]:
        """The process's seccomp mode and program, from the kernel."""
        for requirement in wanted.of(self.name):
            if requirement.key == _SANDBOX:
                mode = guest.seccomp()
                if mode == _SECCOMP_FILTER:
                    yield base.Proof(requirement.key, f'Seccomp: {mode}')
                else:
                    yield requirement.unmet(
                        reasons.QEMU_NO_SANDBOX,
                        f'Seccomp: {mode}',
                        f'Seccomp: {_SECCOMP_FILTER}',
                    )
            else:
                yield _verify_program(requirement, guest, host)


def _sandbox(emulator: program.Emulator, host: base.Host) -> bool | None:
    """Whether libvirt starts this emulator with its seccomp filter.

    The default of libvirt's ``seccomp_sandbox`` is to use the filter where
    QEMU has it (libvirt, src/qemu/qemu.conf.in).
    """
    if not emulator.sandbox:
        return False
    try:
        text = host.read(host.options.qemu_conf)
    except FileNotFoundError:
        return True
    except OSError:
        # The rest of the emulator's facts is known all the same.
        return None
    values = [v.strip() for v in _SECCOMP_OPTION.findall(text)]
    if not all(map(_NUMBER.fullmatch, values)):
        return None
    # Which of two counts is libvirt's affair; here both must be on.
    return all(int(value) != 0 for value in values)


def _judge_absent(
    requirement: requirements.Requirement, facts: QemuFacts
) -> Iterator[reasons.Unmet]:
    absent = {c: facts.is_absent(c) for c in requirement.values}
    present = [c for c, gone in absent.items() if gone is False]
    unknown = [c for c, gone in absent.items() if gone is None]
    if present:
        yield requirement.unmet(
            reasons.QEMU_PRESENT,
            ','.join(present) + ' present',
            'no ' + ','.join(present),
        )
    if unknown:
        yield requirement.unmet(
            reasons.QEMU_UNKNOWN,
            ','.join(unknown) + ' unknown to the host',
            'no ' + ','.join(unknown),
        )


def _verify_program(
    requirement: requirements.Requirement,
    guest: base.Guest,
    host: base.Host,
) -> base.Proof | reasons.Unmet:
    """Whether the process runs the very file whose facts were judged."""
    measured = host.emulator()
    running = guest.executable()
    if running == measured.identity:
        return base.Proof(
            requirement.key,
            f'runs {measured.path}, inode {running.inode}, as measured',
        )
    return requirement.unmet(
        reasons.QEMU_BINARY,
        f'inode {running.inode} of device {running.device}',
        f'{measured.path}, inode {measured.identity.inode} of device '
        f'{measured.identity.device}',
    )
