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

"""A host and a guest whose properties a test sets."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import types
import typing

from nova_isolation.mechanisms import registry
from nova_isolation.mechanisms import sources
from nova_isolation.model import evidence as evidences
from nova_isolation.model import reasons
from nova_isolation.model import sight
from nova_isolation.probes import program
from nova_isolation.probes.xen import answers

#: The UUID of a :class:`FakeGuest`.
UUID = 'f4f9ecaa-4b5a-4b56-8c5e-5a1e0c0a0001'

#: A command line of QEMU, as libvirt writes it where it lets QEMU install its
#: seccomp filter.
ARGUMENTS = (
    '/usr/bin/qemu-system-x86_64',
    '-name',
    'guest=instance-00000001,debug-threads=on',
    '-uuid',
    UUID,
    '-sandbox',
    'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny',
)

#: The identity of the file that the process of a :class:`FakeGuest` runs.
EXECUTABLE = program.Identity(1, 7, 3, 4, 5)

#: Where that program looks for its modules; one of the folders is missing.
MODULES: program.Fingerprint = (
    ('/usr/lib/qemu', program.Identity(1, 9, 3, 4, 5)),
    ('/var/run/qemu', None),
)


#: The user and the role of the labels of Xen's guests.
FLASK = 'system_u:system_r:'

#: The processes of Xen's tools and of nova-compute in a dom0 where SELinux
#: confines each.
XEN_PROCESSES = (
    answers.Process('libvirt', f'{FLASK}virtd_t:s0', None, 365),
    answers.Process('xenstored', f'{FLASK}xenstored_t:s0', None, 399),
    answers.Process('xenconsoled', f'{FLASK}xenconsoled_t:s0', None, 407),
    answers.Process('device model', f'{FLASK}xendm_t:s0', 0, 418),
    answers.Process('nova-compute', f'{FLASK}nova_compute_t:s0', None, 530),
    answers.Process(
        'helper of nova-compute', f'{FLASK}nova_helper_t:s0', None, 544
    ),
)

#: The devices of a PV guest whose disk the kernel of dom0 serves.
XEN_DEVICES: Sequence[answers.Device] = (
    answers.Device('console', '0', 0, 'console', 1),
    answers.Device('vbd', '51712', 0, 'vbd', 2),
)


class FakeXen(sources.Xen):
    """A Xen hypervisor whose policy is like that of Xen's source.

    What a test sets holds from the next question on.

    :ivar hypervisor: the hypervisor
    :ivar creatable: the types with which dom0 may create guests
    :ivar others: further types that the policy knows
    :ivar talking: pairs of types whose domains reach each other
    :ivar domains: all domains
    :ivar devices: number of a domain -> its devices
    :ivar models: the domains for which xenstore has a device model
    :ivar dom0: the processes of dom0
    """

    def __init__(self, **changes: typing.Any) -> None:
        """:param changes: attributes that do not have their default"""
        self.hypervisor = answers.Hypervisor(
            '4.17', answers.ENFORCING, 1, '26d61fe9' * 5, 'flask=enforcing'
        )
        self.creatable = ['domU_t', 'isolated_domU_t', 'drvdom_t']
        self.others = ['dom0_t', 'dm_dom_t', 'nomigrate_t']
        self.talking = {
            ('domU_t', 'domU_t'),
            ('drvdom_t', 'domU_t'),
            ('drvdom_t', 'isolated_domU_t'),
            ('dom0_t', 'domU_t'),
            ('dom0_t', 'isolated_domU_t'),
            ('dom0_t', 'drvdom_t'),
        }
        self.domains = [
            answers.Domain(
                0, answers.DOM0_UUID, f'{FLASK}dom0_t', False, False, False
            ),
            answers.Domain(
                1, UUID, f'{FLASK}isolated_domU_t', True, False, False
            ),
        ]
        self.devices = {1: XEN_DEVICES}
        self.models: set[int] = set()
        self.dom0: Sequence[answers.Process] = XEN_PROCESSES
        vars(self).update(changes)

    def ask(self, question: answers.Question) -> answers.Answer:
        """See the base class."""
        answer = answers.Answer(
            self.hypervisor,
            tuple(map(self._label, question.labels)),
            tuple(self._access(*pair) for pair in question.pairs),
            (),
            tuple(self.domains),
        )
        if self.hypervisor.flask == answers.ABSENT:
            answer = dataclasses.replace(answer, labels=(), accesses=())
        found = None if question.uuid is None else answer.domain(question.uuid)
        if found is None:
            return answer
        around: tuple[answers.Access, ...] = ()
        if self.hypervisor.flask != answers.ABSENT:
            around = tuple(
                self._access(*pair)
                for other in sorted({one.label for one in self.domains})
                for pair in ((found.label, other), (other, found.label))
            )
        return dataclasses.replace(
            answer,
            around=around,
            devices=tuple(self.devices.get(found.id, ())),
            has_model=found.id in self.models,
        )

    def processes(self) -> tuple[answers.Process, ...]:
        """See the base class."""
        return tuple(self.dom0)

    def _label(self, label: str) -> answers.Label:
        type_ = label.rpartition(':')[2]
        known = type_ in (*self.creatable, *self.others)
        return answers.Label(
            label, label if known else None, type_ in self.creatable
        )

    def _access(self, source: str, target: str) -> answers.Access:
        pair = source.rpartition(':')[2], target.rpartition(':')[2]
        known = (*self.creatable, *self.others)
        if pair[0] not in known or pair[1] not in known:
            return answers.Access(source, target, False, 0, 0, 0)
        talk = pair in self.talking or pair[::-1] in self.talking
        grant = 39 if talk else 0
        return answers.Access(source, target, True, 14, int(talk), grant)


class FakeHost(sources.Host):
    """A compute host. Properties that a test does not set cannot be read.

    :ivar files: path -> the text of the file, or the error that reading it
        raises
    """

    def __init__(
        self,
        files: Mapping[str, str | Exception | None] | None = None,
        *,
        options: Mapping[str, Mapping[str, object]] | None = None,
        capabilities: str | None = None,
        domain_capabilities: str | None = None,
        emulator: program.Emulator | None = None,
        emulator_arguments: Sequence[str] | None = None,
        evidence: Mapping[str, evidences.Evidence] | None = None,
        answers: Callable[[str, str], str] | None = None,
        unseen: Mapping[sight.Sight, reasons.Reason] | None = None,
        xen: sources.Xen | None = None,
    ) -> None:
        """:param files: see the class; where a path is missing or has the
            value None, the file does not exist
        :param options: name of a mechanism -> name of an option -> value of
            the option, for options that do not have their default
        :param capabilities: libvirt's capabilities, XML
        :param domain_capabilities: libvirt's capabilities of domains, XML
        :param emulator: the examined emulator
        :param emulator_arguments: libvirt's command line of a plain guest
        :param evidence: name of a mechanism -> what a third party reports
        :param answers: the function that :meth:`ask` calls
        :param unseen: what the host cannot see of its guests' processes ->
            why not
        :param xen: the hypervisor of a Xen host; None: another one
        """
        self.files = dict(files or {})
        self._options = dict(options or {})
        self._declared: dict[str, Sequence[typing.Any]] = {}
        self._capabilities = capabilities
        self._domain_capabilities = domain_capabilities
        self._emulator = emulator
        self._emulator_arguments = emulator_arguments
        self._evidence = dict(evidence or {})
        self._answers = answers
        self._unseen = dict(unseen or {})
        self._xen = xen

    def declare(self, mechanism: type[registry.AnyMechanism]) -> None:
        """Register the options of a mechanism that is not installed.

        The options of installed mechanisms are registered already.

        :param mechanism: the class of the mechanism
        """
        self._declared[mechanism.name] = mechanism.options()

    def options(self, mechanism: str) -> typing.Any:
        """See the base class; options that are not set have their default."""
        loaded = registry.get().loaded.get(mechanism)
        declared = self._declared.get(mechanism)
        if declared is None:
            declared = loaded.options() if loaded is not None else ()
        values = {option.dest: option.default for option in declared}
        return types.SimpleNamespace(
            **{**values, **self._options.get(mechanism, {})}
        )

    def read(self, path: str) -> str:
        """See the base class."""
        text = self.files.get(path)
        if text is None:
            raise FileNotFoundError(path)
        if isinstance(text, Exception):
            raise text
        return text

    def ask(self, path: str, question: str) -> str:
        """See the base class."""
        if self._answers is None:
            raise FileNotFoundError(path)
        return self._answers(path, question)

    def capabilities(self) -> str:
        """See the base class."""
        if self._capabilities is None:
            raise OSError('libvirt does not answer')
        return self._capabilities

    def domain_capabilities(self) -> str:
        """See the base class."""
        if self._domain_capabilities is None:
            raise OSError('libvirt does not answer')
        return self._domain_capabilities

    def emulator_arguments(self) -> tuple[str, ...]:
        """See the base class."""
        if self._emulator_arguments is None:
            raise OSError('libvirt does not answer')
        return tuple(self._emulator_arguments)

    def evidence(self, mechanism: str) -> evidences.Evidence | None:
        """See the base class."""
        return self._evidence.get(mechanism)

    def emulator(self) -> program.Emulator:
        """See the base class."""
        if self._emulator is None:
            raise OSError('the host has no emulator')
        return self._emulator

    def unseen(self) -> Mapping[sight.Sight, reasons.Reason]:
        """See the base class."""
        return self._unseen

    def xen(self) -> sources.Xen | None:
        """See the base class."""
        return self._xen

    def hide(self, unseen: Mapping[sight.Sight, reasons.Reason]) -> None:
        """Make things unseen from now on.

        :param unseen: see the parameter of the class
        """
        self._unseen = dict(unseen)


class BrokenHost(FakeHost):
    """A host from which only the options can be read."""

    def __init__(
        self,
        error: Exception,
        options: Mapping[str, Mapping[str, object]] | None = None,
    ) -> None:
        """:param error: the error that every other method raises
        :param options: see :class:`FakeHost`
        """
        super().__init__(options=options)
        self._error = error

    def read(self, path: str) -> str:
        """Raise the error."""
        raise self._error

    def ask(self, path: str, question: str) -> str:
        """Raise the error."""
        raise self._error

    def capabilities(self) -> str:
        """Raise the error."""
        raise self._error

    def domain_capabilities(self) -> str:
        """Raise the error."""
        raise self._error

    def emulator_arguments(self) -> tuple[str, ...]:
        """Raise the error."""
        raise self._error

    def evidence(self, mechanism: str) -> evidences.Evidence | None:
        """Raise the error."""
        raise self._error

    def emulator(self) -> program.Emulator:
        """Raise the error."""
        raise self._error

    def unseen(self) -> Mapping[sight.Sight, reasons.Reason]:
        """Raise the error."""
        raise self._error

    def xen(self) -> sources.Xen | None:
        """Raise the error."""
        raise self._error


@dataclasses.dataclass
class FakeGuest:
    """A started guest, by default a guest of KVM that sVirt confines.

    :ivar uuid: the UUID of the domain
    :ivar name: the name of the domain
    :ivar id: the number of the domain
    :ivar type: the domain type in the XML
    :ivar label: the label that libvirt reports
    :ivar enforced: whether libvirt reports that the label is enforced
    :ivar process_label: the label that the kernel reports; None: the same as
        ``label``
    :ivar others: domain name -> label, of the other guests of the host
    :ivar arguments: the command line of the process
    :ivar seccomp: the seccomp mode of the process
    :ivar executable: the file that the process runs
    :ivar modules: where the process looks for modules of its program
    :ivar has_process: whether the guest has a process on the host
    :ivar read: what was read of the process
    """

    uuid: str = UUID
    name: str = 'instance-00000001'
    id: int = 1
    type: str = 'kvm'
    label: str = 'system_u:system_r:svirt_t:s0:c1,c2'
    enforced: bool = True
    process_label: str | None = None
    others: dict[str, str] = dataclasses.field(default_factory=dict)
    arguments: Sequence[str] = ARGUMENTS
    seccomp: int = 2
    executable: program.Identity = EXECUTABLE
    modules: program.Fingerprint = MODULES
    has_process: bool = True
    read: set[sight.Sight] = dataclasses.field(default_factory=set)

    def domain_id(self) -> int:
        """See :class:`nova_isolation.mechanisms.sources.Guest`."""
        return self.id

    def domain_xml(self) -> str:
        """See :class:`nova_isolation.mechanisms.sources.Guest`."""
        return f"<domain type='{self.type}'><uuid>{self.uuid}</uuid></domain>"

    def security_label(self) -> tuple[str, bool]:
        """See :class:`nova_isolation.mechanisms.sources.Guest`."""
        return self.label, self.enforced

    def process(self) -> sources.Process | None:
        """See :class:`nova_isolation.mechanisms.sources.Guest`."""
        self.read.add(sight.Sight.PROCESS)
        return FakeProcess(self) if self.has_process else None

    def other_process_labels(self) -> dict[str, str]:
        """See :class:`nova_isolation.mechanisms.sources.Guest`."""
        self.read.add(sight.Sight.PROCESS)
        return self.others


class FakeProcess(sources.Process):
    """The process of a :class:`FakeGuest`."""

    def __init__(self, guest: FakeGuest) -> None:
        """:param guest: the guest that the process runs"""
        self._guest = guest

    def label(self) -> str:
        """See the base class."""
        label = self._guest.process_label
        return self._guest.label if label is None else label

    def arguments(self) -> Sequence[str]:
        """See the base class."""
        return self._guest.arguments

    def seccomp(self) -> int:
        """See the base class."""
        return self._guest.seccomp

    def executable(self) -> program.Identity:
        """See the base class."""
        self._guest.read.add(sight.Sight.EXECUTABLE)
        return self._guest.executable

    def identities(self, paths: Sequence[str]) -> program.Fingerprint:
        """See the base class."""
        self._guest.read.add(sight.Sight.EXECUTABLE)
        there = dict(self._guest.modules)
        return tuple((path, there.get(path)) for path in paths)


class BrokenGuest:
    """A guest from which only the UUID and the name can be read."""

    uuid = UUID
    name = 'instance-00000001'

    def __init__(self, error: Exception) -> None:
        """:param error: the error that every method raises"""
        self._error = error

    def domain_id(self) -> int:
        """Raise the error."""
        raise self._error

    def domain_xml(self) -> str:
        """Raise the error."""
        raise self._error

    def security_label(self) -> tuple[str, bool]:
        """Raise the error."""
        raise self._error

    def process(self) -> sources.Process | None:
        """Raise the error."""
        raise self._error

    def other_process_labels(self) -> dict[str, str]:
        """Raise the error."""
        raise self._error
