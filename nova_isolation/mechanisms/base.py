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

One technology is one module with one subclass of :class:`Mechanism`, named in
the entry-point group ``nova_isolation.mechanisms``. Everything that is
particular to it is behind this class; nothing else in the project knows its
name. All of a mechanism's methods but :meth:`~Mechanism.measure` and
:meth:`~Mechanism.verify` are pure.
"""

import abc
from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import enum
import typing

from nova_isolation.model import evidence
from nova_isolation.model import reasons
from nova_isolation.model import requirements
from nova_isolation.model import vocabulary
from nova_isolation.probes import program

if typing.TYPE_CHECKING:
    # The libvirt hook has another kind, and no time for this one.
    from lxml import etree

F = typing.TypeVar('F')

#: What a mechanism may raise without ending the service that asks it: all
#: but what is meant for the thread. SystemExit is not: code that is made for
#: a program of its own exits where it fails.
FAILURES = (Exception, SystemExit)


class Source(enum.Enum):
    """Who says what a mechanism's facts are."""

    #: the host itself; they come in its facts document
    HOST = 'host'
    #: a third party, e.g. a verifier of quotes; never the host's own word
    THIRD_PARTY = 'third party'


@dataclasses.dataclass(frozen=True)
class Proof:
    """Something that was read back from a started guest and is as wanted.

    :ivar key: the extra spec that it proves
    :ivar found: what was read, for events and logs
    """

    key: str
    found: str


class Host(typing.Protocol):
    """What a mechanism may ask of the compute host it measures.

    Every method may raise OSError or ValueError; the mechanism then measured
    nothing. A program that is asked is given ``[isolation] probe_timeout``.
    """

    @property
    def options(self) -> typing.Any:
        """The ``[isolation]`` group of nova.conf."""

    def read(self, path: str) -> str:
        """The text of a file of the host, e.g. ``/sys/fs/selinux/enforce``.

        :raises FileNotFoundError: there is none
        :raises OSError: it cannot be read
        """

    def ask(self, path: str, question: str) -> str:
        """The answer of a file that is written to and then read.

        The kernel has such files in selinuxfs.

        :raises OSError: there is none, or it does not take the question
        """

    def capabilities(self) -> str:
        """libvirt's capabilities, XML."""

    def domain_capabilities(self) -> str:
        """libvirt's capabilities of the domains that Nova makes, XML."""

    def evidence(self, mechanism: str) -> evidence.Evidence | None:
        """What a third party says of the host, now.

        :param mechanism: the name of the mechanism whose source it is
        :returns: None: nobody is asked
        """

    def emulator(self) -> program.Emulator:
        """The QEMU binary that libvirt starts, examined.

        :raises OSError: it cannot be read or run
        :raises ValueError: it is none
        """


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

    def process_label(self) -> str:
        """The label in /proc/PID/attr/current, without a trailing NUL."""

    def other_process_labels(self) -> dict[str, str]:
        """Domain name -> process label, of every other running guest."""

    def seccomp(self) -> int:
        """The kernel's word on the process: 0 none, 1 strict, 2 filter."""

    def executable(self) -> program.Identity:
        """Which file the process runs (/proc/PID/exe)."""


class Mechanism(abc.ABC, typing.Generic[F]):
    """One isolation technology.

    :cvar name: as in the entry point; also names its section of the facts
    :cvar extra_specs: the extra specs it owns
    :cvar own_reasons: reason codes beside those of
        :mod:`nova_isolation.model.reasons`
    :cvar source: who says what its facts are
    """

    name: typing.ClassVar[str]
    extra_specs: typing.ClassVar[tuple[vocabulary.ExtraSpec, ...]]
    own_reasons: typing.ClassVar[tuple[reasons.Reason, ...]] = ()
    source: typing.ClassVar[Source] = Source.HOST

    @abc.abstractmethod
    def measure(self, host: Host) -> object:
        """Measure the host, on the host.

        :returns: the section for the facts: JSON values, the same for
            alike hosts, as small as can be
        :raises OSError, ValueError: it cannot be measured; the section is
            then unknown, which meets no requirement

        A mechanism whose :attr:`source` is a third party has nothing to
        measure; it is never called.
        """

    @abc.abstractmethod
    def read(self, section: object) -> F:
        """The typed facts of a section, or of a third party's evidence.

        :param section: as :meth:`measure` made it, but from the network:
            anything can come; or a third party's
            :class:`~nova_isolation.model.evidence.Evidence`. Never None.
        :raises nova_isolation.model.facts.FactsError: it is malformed
        """

    @abc.abstractmethod
    def unknown(self) -> reasons.Reason:
        """The reason code where the host could not measure."""

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
        Where a third party is the source: whether there is anything depends
        on nothing but the document of the evidence while its age is within
        :meth:`max_age`.
        """

    def max_age(self, requirement: requirements.Requirement) -> float | None:
        """How old a third party's evidence may be for a requirement.

        :returns: seconds; None: as old as the evidence itself allows
        """
        return None

    def confine(
        self,
        domain: 'etree._Element',
        wanted: requirements.Requirements,
        facts: F,
    ) -> None:
        """Put into a guest's XML what makes libvirt confine it as wanted.

        :param domain: the ``<domain>`` element, changed in place. Called
            again with its own result it changes nothing.
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
            One of lxml, or in the libvirt hook one of xml.etree: use what
            both have
        :param wanted: at least one requirement is of this mechanism; there
            may be problems beside them
        :returns: nothing for what :meth:`confine` wrote, or where it writes
            nothing
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

        Asked is not had: nothing counts that only repeats what
        :meth:`confine` asked for.

        :param facts: measured after the guest was started, and judged
        :returns: for each requirement of this mechanism at least one proof,
            or what is not as wanted
        :raises OSError, ValueError: it cannot be read; the guest is refused
        """
