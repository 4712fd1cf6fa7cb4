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

"""The contract of an isolation technology.

One technology is one package with one subclass of :class:`HostMechanism` or
:class:`EvidenceMechanism`, named in the entry-point group
``nova_isolation.mechanisms``. Everything that is particular to the technology
is in its package: its extra specs, reason codes, options, facts, traits, XML
and verification. Nothing else in the project knows its name, and a mechanism
of another package is loaded and treated like one of this tree.

Only :meth:`HostMechanism.measure` and :meth:`Mechanism.verify` do I/O. All
other methods are pure.
"""

import abc
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import typing

from nova_isolation.model import evidence as evidences
from nova_isolation.model import facts as facts_
from nova_isolation.model import reasons
from nova_isolation.model import requirements
from nova_isolation.model import typed_section
from nova_isolation.model import vocabulary
from nova_isolation.probes import program

if typing.TYPE_CHECKING:
    # The libvirt hook passes elements of xml.etree and never imports lxml,
    # which takes longer to import than the hook's whole decision.
    from lxml import etree
    from oslo_config import cfg

F = typing.TypeVar('F')

#: What a mechanism may raise without ending the service that calls it:
#: everything but the exceptions that are meant for the thread. SystemExit is
#: included because code written for a command line may call sys.exit().
FAILURES = (Exception, SystemExit)


@dataclasses.dataclass(frozen=True)
class Proof:
    """Something that was read back from a started guest and is as wanted.

    :ivar key: the extra spec that is proven
    :ivar found: what was read, for events and logs
    """

    key: str
    found: str


@dataclasses.dataclass(frozen=True)
class Observation:
    """What a mechanism has found out about the host that it runs on.

    One of the two is set, by the kind of the mechanism.

    :ivar section: the mechanism's part of the facts document, JSON values
    :ivar evidence: what a third party says of the host
    """

    section: object = None
    evidence: evidences.Evidence | None = None


class Host(typing.Protocol):
    """What a mechanism may ask of the compute host that it measures.

    Every method may raise OSError or ValueError; the mechanism then measured
    nothing. Programs that are run for an answer get ``[isolation]
    probe_timeout`` seconds.
    """

    def options(self, mechanism: str) -> typing.Any:
        """The option group of a mechanism, see :meth:`Mechanism.options`.

        :param mechanism: the name of the mechanism
        """

    def read(self, path: str) -> str:
        """The text of a file of the host, e.g. ``/sys/fs/selinux/enforce``.

        :raises FileNotFoundError: there is no such file
        :raises OSError: the file cannot be read
        """

    def ask(self, path: str, question: str) -> str:
        """The answer of a file that is written to and then read.

        The kernel has such files in selinuxfs.

        :raises OSError: there is no such file, or it refuses the question
        """

    def capabilities(self) -> str:
        """libvirt's capabilities, XML."""

    def domain_capabilities(self) -> str:
        """libvirt's capabilities of the domains that Nova makes, XML."""

    def evidence(self, mechanism: str) -> evidences.Evidence | None:
        """What a third party says of the host, now.

        :param mechanism: the name of the mechanism that reads the evidence
        :returns: None where no third party is asked
        """

    def emulator(self) -> program.Emulator:
        """The QEMU binary that libvirt starts, examined.

        :raises OSError: the binary cannot be read or run
        :raises ValueError: the file is not an emulator
        """


class Process(typing.Protocol):
    """The process on the host that runs a guest.

    Every method may raise OSError or ValueError; nothing is proven then and
    the guest is refused.
    """

    def label(self) -> str:
        """The label in /proc/PID/attr/current, without a trailing NUL."""

    def seccomp(self) -> int:
        """The kernel's seccomp mode: 0 none, 1 strict, 2 filter (proc(5))."""

    def executable(self) -> program.Identity:
        """The identity of the file that the process runs (/proc/PID/exe)."""


class Guest(typing.Protocol):
    """What a mechanism may ask of a guest that is started and paused.

    Every method may raise OSError or ValueError; nothing is proven then and
    the guest is refused.
    """

    @property
    def uuid(self) -> str:
        """The UUID of the domain, which is that of the Nova instance."""

    @property
    def name(self) -> str:
        """The name of the domain."""

    def domain_xml(self) -> str:
        """The XML of the running domain."""

    def security_label(self) -> tuple[str, bool]:
        """The label that libvirt reports, and whether it is enforced."""

    def process(self) -> Process | None:
        """The process that runs the guest.

        :returns: None where the hypervisor runs guests of this kind without
            a process on the host, e.g. Xen a PV guest. A process that should
            exist and cannot be found is an OSError or ValueError, not None.
        """

    def other_process_labels(self) -> dict[str, str]:
        """Domain name -> process label, of every other running guest."""


class Mechanism(abc.ABC, typing.Generic[F]):
    """One isolation technology; see its two subclasses.

    :cvar name: as in the entry point; also the name of the mechanism's part
        of the facts document. It is a lower-case word.
    :cvar extra_specs: the extra specs that the mechanism owns. Each key is
        ``isolation:NAME`` or begins with ``isolation:NAME_``.
    :cvar own_reasons: the reason codes that the mechanism uses beside those of
        :mod:`nova_isolation.model.reasons`, each ``isolation.NAME.<what>``
    """

    name: typing.ClassVar[str]
    extra_specs: typing.ClassVar[tuple[vocabulary.ExtraSpec, ...]]
    own_reasons: typing.ClassVar[tuple[reasons.Reason, ...]] = ()

    @classmethod
    def options(cls) -> 'Sequence[cfg.Opt]':
        """The configuration options of the mechanism.

        They are registered in the group ``[isolation_NAME]`` of nova.conf,
        appear in the sample configuration, and are read by
        :meth:`Host.options`. An implementation imports oslo.config inside
        this method, because the libvirt hook loads mechanisms and has no
        time for that import.
        """
        return ()

    @abc.abstractmethod
    def observe(self, host: Host) -> Observation | None:
        """Find out about the host that this process runs on.

        :returns: what :meth:`facts_of` makes the facts from; None where no
            third party is asked
        :raises OSError, ValueError: the host cannot be measured
        """

    @abc.abstractmethod
    def facts_of(
        self,
        published: Mapping[str, object],
        evidence: Mapping[str, evidences.Evidence],
    ) -> F:
        """The typed facts of any host.

        :param published: name of a mechanism -> its part of the facts
            document that the host has published
        :param evidence: name of a mechanism -> what a third party says of
            the host now
        :raises nova_isolation.model.facts.FactsError: they are unknown or
            malformed
        """

    @abc.abstractmethod
    def traits(self, facts: F) -> frozenset[str]:
        """The traits that the facts earn the host."""

    @abc.abstractmethod
    def required_traits(
        self, requirement: requirements.Requirement
    ) -> frozenset[str]:
        """The traits without which no host meets the requirement.

        Always a part of the :meth:`traits` of facts that :meth:`judge`
        accepts; may be empty.
        """

    @abc.abstractmethod
    def judge(
        self, requirement: requirements.Requirement, facts: F
    ) -> Iterator[reasons.Unmet]:
        """What the facts lack for a requirement; nothing if they meet it.

        Taking a fact away never turns an unmet requirement into a met one.
        """

    def confine(
        self,
        domain: 'etree._Element',
        wanted: requirements.Requirements,
        facts: F,
    ) -> None:
        """Put into a guest's XML what makes libvirt confine it as wanted.

        :param domain: the ``<domain>`` element, changed in place. A second
            call with the result of the first changes nothing.
        :param wanted: requirements that :meth:`judge` accepted; at least
            one is of this mechanism
        :param facts: the host's
        """
        return

    def judge_definition(
        self, domain: 'etree._Element', wanted: requirements.Requirements
    ) -> Iterable[reasons.Unmet]:
        """What a domain's XML lacks of what :meth:`confine` writes.

        Asked of a domain that anybody may have written, when nothing but its
        XML is known: not the host, not whether the guest will be as asked.

        :param domain: the ``<domain>`` element, as it was defined or as
            libvirt completes it when it starts the guest; not changed here.
            An element of lxml, or in the libvirt hook one of xml.etree: use
            what both have
        :param wanted: at least one requirement is of this mechanism; there
            may be problems beside them
        :returns: nothing for what :meth:`confine` wrote, or where
            :meth:`confine` writes nothing
        """
        return ()

    @abc.abstractmethod
    def verify(
        self,
        guest: Guest,
        wanted: requirements.Requirements,
        facts: F,
        host: Host,
    ) -> Iterator[Proof | reasons.Unmet]:
        """Read back from a started, paused guest whether it is as wanted.

        A proof never only repeats what :meth:`confine` asked for: it is read
        from the running guest, the kernel or the hypervisor.

        :param facts: measured after the guest was started, and judged
        :returns: for each requirement of this mechanism at least one proof,
            or what is not as wanted
        :raises OSError, ValueError: something cannot be read; the guest is
            refused
        """


class HostMechanism(Mechanism[F]):
    """A mechanism whose facts the compute host measures of itself.

    :cvar facts_class: the frozen dataclass of the facts; its fields are as
        :mod:`nova_isolation.model.typed_section` says
    :cvar unknown: the reason where the host could not measure
    """

    facts_class: typing.ClassVar[type[typing.Any]]
    unknown: typing.ClassVar[reasons.Reason]

    @abc.abstractmethod
    def measure(self, host: Host) -> F:
        """Measure the host, on the host.

        :returns: the facts; the same for alike hosts, as small as can be
        :raises OSError, ValueError: the host cannot be measured; its facts
            are then unknown, which meets no requirement
        """

    def write(self, facts: F) -> object:
        """The facts as JSON values, for the facts document."""
        return typed_section.write(facts)

    def read(self, section: object) -> F:
        """The facts of what :meth:`write` made.

        :param section: from the network, so anything can come; never None
        :raises nova_isolation.model.facts.FactsError: it is malformed. A
            facts class refuses values that its types allow by raising this
            error in ``__post_init__``.
        """
        result: F = typed_section.read(self.facts_class, section)
        return result

    def observe(self, host: Host) -> Observation:
        """See the base class."""
        # Through the text and back: the facts that this host decides on are
        # those that the scheduler will read.
        text = facts_.dumps({self.name: self.write(self.measure(host))})
        return Observation(section=facts_.loads(text).sections[self.name])

    def facts_of(
        self,
        published: Mapping[str, object],
        evidence: Mapping[str, evidences.Evidence],
    ) -> F:
        """See the base class."""
        section = published.get(self.name)
        if section is None:
            raise facts_.FactsError(self.unknown, 'unknown')
        return self.read(section)


class EvidenceMechanism(Mechanism[F]):
    """A mechanism whose facts a third party states, never the host itself.

    Whether :meth:`~Mechanism.judge` finds anything depends on nothing but
    the document of the evidence while its age is within :meth:`max_age`.
    """

    @abc.abstractmethod
    def read(self, evidence: evidences.Evidence) -> F:
        """The typed facts of a third party's evidence.

        :raises nova_isolation.model.facts.FactsError: it is malformed
        """

    def max_age(self, requirement: requirements.Requirement) -> float | None:
        """How old the evidence may be for a requirement.

        :returns: seconds; None: as old as the evidence itself allows
        """
        return None

    def observe(self, host: Host) -> Observation | None:
        """See the base class."""
        said = host.evidence(self.name)
        return None if said is None else Observation(evidence=said)

    def facts_of(
        self,
        published: Mapping[str, object],
        evidence: Mapping[str, evidences.Evidence],
    ) -> F:
        """See the base class."""
        said = evidence.get(self.name)
        if said is None:
            raise facts_.FactsError(reasons.EVIDENCE_MISSING, 'unknown')
        return self.read(said)


def option_group(mechanism: str) -> str:
    """The name of the option group of a mechanism.

    :param mechanism: the name of the mechanism
    """
    return f'isolation_{mechanism}'
