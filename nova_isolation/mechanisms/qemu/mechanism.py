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

"""The emulator: its hardening, its components and its sandbox."""

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import functools
import logging
import re

from nova_isolation.mechanisms import base
from nova_isolation.mechanisms import sources
from nova_isolation.mechanisms.qemu import catalogue
from nova_isolation.mechanisms.qemu import extra_specs
from nova_isolation.mechanisms.qemu import groups
from nova_isolation.mechanisms.qemu import image_devices
from nova_isolation.mechanisms.qemu import reason_codes
from nova_isolation.mechanisms.qemu import sandbox
from nova_isolation.model import facts
from nova_isolation.model import reasons
from nova_isolation.model import requirements
from nova_isolation.model import sight
from nova_isolation.model import traits
from nova_isolation.probes import program

LOG = logging.getLogger(__name__)

_HARDENING = 'isolation:qemu_hardening'
_SANDBOX = 'isolation:qemu_sandbox'
_ABSENT = 'isolation:qemu_absent'

_COMPONENTS = tuple(catalogue.CATALOGUE)

_SECCOMP_FILTER = 2

# It looks for each row among some thousand types, at each measurement, and a
# host hardly ever gets another emulator.
_present = functools.lru_cache(maxsize=4)(catalogue.present)


@dataclasses.dataclass(frozen=True)
class QemuFacts:
    """The facts about the emulator.

    :ivar hardening: the words of ``isolation:qemu_hardening`` that the
        emulator meets
    :ivar sandbox: whether libvirt starts guests under QEMU's own seccomp
        filter; None: unknown
    :ivar known: how many components of the catalogue the host looked for
    :ivar present: a hexadecimal number; bit N is set where the emulator has
        component N
    """

    hardening: tuple[str, ...]
    sandbox: bool | None
    known: int
    present: str

    def __post_init__(self) -> None:
        if self.known < 0 or not re.fullmatch('[0-9a-f]+', self.present):
            raise facts.FactsError(
                reasons.FACTS_MALFORMED, 'not a map of components'
            )

    def is_absent(self, component: str) -> bool | None:
        """Return whether a component is absent.

        None: the release of the host does not know the component.
        """
        index = _COMPONENTS.index(component)
        if index >= self.known:
            return None
        return not int(self.present, 16) >> index & 1


class QemuMechanism(base.HostMechanism[QemuFacts]):
    """``isolation:qemu_*``."""

    name = 'qemu'
    extra_specs = extra_specs.ROWS
    own_reasons = reason_codes.ALL
    facts_class = QemuFacts
    unknown = reason_codes.UNKNOWN
    needs = sight.ALL

    def measure(self, host: sources.Host) -> QemuFacts:
        """Measure the emulator, and ask libvirt how it starts a guest."""
        emulator = host.emulator()
        components = _present(emulator.types)
        present = sum(
            1 << index
            for index, component in enumerate(_COMPONENTS)
            if component in components
        )
        return QemuFacts(
            tuple(sorted(emulator.hardening)),
            self._sandbox(emulator, host),
            len(_COMPONENTS),
            f'{present:x}',
        )

    def _sandbox(
        self, emulator: program.Emulator, host: sources.Host
    ) -> bool | None:
        """Return whether libvirt starts this emulator with a seccomp filter.

        libvirt itself is asked, because the setting that counts is the one
        that the running libvirtd has read, whatever file it is from. None:
        unknown.
        """
        if not emulator.sandbox or host.xen() is not None:
            # libxl starts its device models without.
            return False
        try:
            return sandbox.is_on(host.emulator_arguments())
        except (OSError, ValueError) as error:
            # The other facts about the emulator are still known.
            LOG.warning(
                'Mechanism qemu cannot ask libvirt for the command line of a '
                'guest; flavors that need isolation:qemu_sandbox are refused '
                'on this host: %s',
                error,
            )
            return None

    def traits(self, facts: QemuFacts) -> frozenset[str]:
        """Return a trait for each hardening and each absent component.

        A group has a trait of its own, so that placement does not name hosts
        of a release that refuses the word. Where the sandbox is used, the
        host has a trait for the sandbox too.
        """
        return _traits(facts)

    def required_traits(
        self, requirement: requirements.Requirement
    ) -> frozenset[str]:
        """Return the traits of the requirement, named as in :meth:`traits`.

        For a group they are its own and those of its members: "all" of an
        older release is not all that this one knows.
        """
        if requirement.key == _SANDBOX:
            return frozenset({traits.name('QEMU', 'SANDBOX')})
        if requirement.key == _HARDENING:
            return frozenset(
                traits.name('QEMU', word) for word in requirement.values
            )
        return frozenset(
            traits.name('QEMU_ABSENT', word)
            for word in (
                *requirement.values,
                *groups.components(requirement.values),
            )
        )

    def judge(
        self, requirement: requirements.Requirement, facts: QemuFacts
    ) -> Iterator[reasons.Unmet]:
        """See the base class."""
        if requirement.key == _SANDBOX:
            if facts.sandbox is None:
                yield requirement.unmet(reason_codes.UNKNOWN, 'unknown')
            elif not facts.sandbox:
                yield requirement.unmet(
                    reason_codes.NO_SANDBOX, 'no seccomp filter'
                )
        elif requirement.key == _HARDENING:
            lacking = set(requirement.values) - set(facts.hardening)
            if lacking:
                yield requirement.unmet(
                    reason_codes.NOT_HARDENED,
                    f'only {",".join(facts.hardening)}'
                    if facts.hardening
                    else 'none of them',
                    ','.join(sorted(lacking)),
                )
        else:
            yield from _unmet_absent(requirement, facts)

    def judge_image(
        self,
        requirement: requirements.Requirement,
        properties: Mapping[str, object],
    ) -> Iterator[reasons.Unmet]:
        """Decide about the emulator of another architecture, and devices.

        A host has measured only the emulator of its own architecture. The
        sandbox is verified on the process, whatever program it runs. A device
        of a component that must be absent is on no host.
        """
        architecture = properties.get(base.EMULATED_ARCHITECTURE)
        if architecture and requirement.key != _SANDBOX:
            yield requirement.unmet(
                reason_codes.OTHER_ARCHITECTURE,
                f'an image with {base.EMULATED_ARCHITECTURE}={architecture}',
            )
        if requirement.key != _ABSENT:
            return
        absent = frozenset(groups.components(requirement.values))
        for device, alternatives in image_devices.missing(properties, absent):
            yield requirement.unmet(
                reason_codes.DEVICE_ABSENT,
                f'{device} of the image or the flavor, which needs '
                + ' or '.join(alternatives),
                'no ' + ','.join(alternatives),
            )

    def verify(
        self,
        guest: sources.Guest,
        wanted: requirements.Requirements,
        facts: QemuFacts,
        host: sources.Host,
    ) -> Iterator[base.Proof | reasons.Unmet]:
        """Verify the seccomp filter and the program of the process.

        On Xen the process is the guest's device model, or the QEMU behind its
        disks. A guest that is proven to have none has no component in it.
        """
        process = guest.process()
        for requirement in wanted.of(self.name):
            if process is None:
                if requirement.key != _SANDBOX and host.xen() is not None:
                    yield base.Proof(
                        requirement.key,
                        'no device model, and no QEMU behind the disks',
                    )
                    continue
                yield requirement.unmet(
                    reasons.VERIFY_NO_PROCESS, 'a guest without a process'
                )
                continue
            if requirement.key != _SANDBOX:
                yield _verify_program(requirement, process, host)
                continue
            yield _verify_sandbox(requirement, process)


# At each measurement, and a host hardly ever gets another emulator.
@functools.lru_cache(maxsize=4)
def _traits(facts: QemuFacts) -> frozenset[str]:
    """Return the traits that facts earn; see :meth:`QemuMechanism.traits`."""
    result = {traits.name('QEMU', word) for word in facts.hardening}
    if facts.sandbox:
        result.add(traits.name('QEMU', 'SANDBOX'))
    absent = frozenset(filter(facts.is_absent, _COMPONENTS))
    result.update(
        traits.name('QEMU_ABSENT', word)
        for word in groups.WORDS
        if absent.issuperset(groups.components((word,)))
    )
    return frozenset(result)


def _unmet_absent(
    requirement: requirements.Requirement, facts: QemuFacts
) -> Iterator[reasons.Unmet]:
    absent = {
        component: facts.is_absent(component)
        for component in groups.components(requirement.values)
    }
    present = [c for c, gone in absent.items() if gone is False]
    unknown = [c for c, gone in absent.items() if gone is None]
    if present:
        yield requirement.unmet(
            reason_codes.PRESENT,
            ','.join(present) + ' present',
            'no ' + ','.join(present),
        )
    if unknown:
        yield requirement.unmet(
            reason_codes.UNKNOWN,
            'no measurement of ' + ','.join(unknown),
            'no ' + ','.join(unknown),
        )


def _verify_sandbox(
    requirement: requirements.Requirement, process: sources.Process
) -> base.Proof | reasons.Unmet:
    """Verify that the process is under a filter that QEMU itself installed.

    A filter alone proves nothing, because libvirtd may have passed one on to
    the process. A command line alone is only what QEMU was asked for.
    """
    arguments, mode = process.arguments(), process.seccomp()
    found = f'Seccomp: {mode}, {sandbox.found(arguments)}'
    if mode == _SECCOMP_FILTER and sandbox.is_on(arguments):
        return base.Proof(requirement.key, found)
    return requirement.unmet(
        reason_codes.NO_SANDBOX,
        found,
        f'Seccomp: {_SECCOMP_FILTER}, {sandbox.ASKED}',
    )


def _verify_program(
    requirement: requirements.Requirement,
    process: sources.Process,
    host: sources.Host,
) -> base.Proof | reasons.Unmet:
    """Verify that the process runs what was measured."""
    measured = host.emulator()
    running = process.executable()
    if running != measured.identity:
        return requirement.unmet(
            reason_codes.BINARY,
            _place(running),
            f'{measured.path}, {_place(measured.identity)}',
        )
    proof = base.Proof(
        requirement.key,
        f'runs {measured.path}, inode {running.inode}, as measured',
    )
    if requirement.key != _ABSENT:
        return proof
    return _unmet_modules(requirement, process, measured) or proof


def _unmet_modules(
    requirement: requirements.Requirement,
    process: sources.Process,
    measured: program.Emulator,
) -> reasons.Unmet | None:
    """Verify that the process looks for its modules where it was measured.

    QEMU loads modules while it runs, too. Its root folder is not always that
    of libvirt's daemon. What a folder contains may change meanwhile, for both.
    """
    there = dict(process.identities(measured.folders))
    for folder, identity in measured.modules:
        found, wanted = _place(there[folder]), _place(identity)
        if found != wanted:
            return requirement.unmet(
                reason_codes.MODULES,
                f'{folder}: {found}',
                f'{folder}: {wanted}',
            )
    return None


def _place(found: program.Identity | None) -> str:
    """Return which file or folder was found, in words."""
    if found is None:
        return 'nothing'
    device, inode = found.node
    return f'inode {inode} of device {device}'
