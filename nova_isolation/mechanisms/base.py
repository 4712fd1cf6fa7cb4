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
and verification. No code outside the package knows the name of the
technology, and a mechanism of another package is loaded and treated like a
mechanism of this tree.

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

from nova_isolation.mechanisms import sources
from nova_isolation.model import evidence as evidences
from nova_isolation.model import facts as facts_
from nova_isolation.model import printable
from nova_isolation.model import reasons
from nova_isolation.model import requirements
from nova_isolation.model import sight
from nova_isolation.model import typed_section
from nova_isolation.model import vocabulary

if typing.TYPE_CHECKING:
    # The libvirt hook passes elements of xml.etree and never imports lxml,
    # which takes longer to import than the hook's whole decision.
    from lxml import etree
    from oslo_config import cfg

F = typing.TypeVar('F')

#: Exceptions that are caught from a mechanism, so that the calling service
#: continues. SystemExit is included because code written for a command line
#: may call sys.exit().
FAILURES = (Exception, SystemExit)


@dataclasses.dataclass(frozen=True)
class Proof:
    """A proof, read from a started guest, that it meets a requirement.

    :ivar key: the extra spec that is proven
    :ivar found: the text that was read, for events and logs, one printable
        line
    """

    key: str
    found: str

    def __post_init__(self) -> None:
        # A guest or another host may have chosen the text.
        object.__setattr__(self, 'found', printable.one_line(self.found))


@dataclasses.dataclass(frozen=True)
class Observation:
    """What a mechanism has found out about the host that it runs on.

    A host mechanism sets ``section``, an evidence mechanism ``evidence``.

    :ivar section: the mechanism's part of the facts document, JSON values
    :ivar evidence: what a third party reports about the host
    """

    section: object = None
    evidence: evidences.Evidence | None = None


class Mechanism(abc.ABC, typing.Generic[F]):
    """One isolation technology; see its two subclasses.

    :cvar name: the name of the entry point, a lower-case word; also the key
        of the mechanism's part of the facts document
    :cvar extra_specs: the extra specs that the mechanism owns. Each key is
        ``isolation:NAME`` or begins with ``isolation:NAME_``.
    :cvar own_reasons: the reason codes that the mechanism uses beside those of
        :mod:`nova_isolation.model.reasons`, each ``isolation.NAME.<what>``
    """

    name: typing.ClassVar[str]
    extra_specs: typing.ClassVar[tuple[vocabulary.ExtraSpec, ...]]
    own_reasons: typing.ClassVar[tuple[reasons.Reason, ...]] = ()

    @classmethod
    def __subclasshook__(cls, other: type) -> bool:
        """Return whether a class derives from this one, and ask no other.

        ABCMeta would ask each class that derives from this one. One of
        another package, whose metaclass raises, would affect the others.
        """
        return cls in other.__mro__

    @classmethod
    def options(cls) -> 'Sequence[cfg.Opt]':
        """Return the configuration options of the mechanism.

        The options are registered in the group ``[isolation_NAME]`` of
        nova.conf and appear in the sample configuration. A mechanism reads
        them with
        :meth:`nova_isolation.mechanisms.sources.Host.options`. An
        implementation imports oslo.config inside this method, because the
        libvirt hook loads mechanisms and that import would take longer than
        the hook's whole decision.
        """
        return ()

    @abc.abstractmethod
    def observe(self, host: sources.Host) -> Observation | None:
        """Find out about the host that this process runs on.

        :returns: the observation from which :meth:`facts_of` makes the facts;
            None where no third party is configured
        :raises OSError, ValueError: the host cannot be measured
        """

    @abc.abstractmethod
    def facts_of(
        self,
        published: Mapping[str, object],
        evidence: Mapping[str, evidences.Evidence],
    ) -> F:
        """Return the typed facts of a host.

        :param published: name of a mechanism -> its part of the facts
            document that the host has published
        :param evidence: name of a mechanism -> what a third party reports
            about the host now
        :raises nova_isolation.model.facts.FactsError: the facts are unknown
            or malformed
        """

    @abc.abstractmethod
    def traits(self, facts: F) -> frozenset[str]:
        """Return the traits that the host has earned by the facts."""

    @abc.abstractmethod
    def required_traits(
        self, requirement: requirements.Requirement
    ) -> frozenset[str]:
        """Return the traits of every host that meets the requirement.

        Where :meth:`judge` accepts facts, :meth:`traits` of these facts
        contains all traits that this method returns. The result may be empty.
        """

    @abc.abstractmethod
    def judge(
        self, requirement: requirements.Requirement, facts: F
    ) -> Iterator[reasons.Unmet]:
        """Decide whether the facts meet a requirement.

        An unmet requirement stays unmet when a fact is removed.

        :returns: what is unmet; empty where the facts meet the requirement
        """

    def judge_image(
        self,
        requirement: requirements.Requirement,
        properties: Mapping[str, object],
    ) -> Iterable[reasons.Unmet]:
        """Decide whether a guest of an image can meet a requirement.

        The scheduler calls this method before it looks for a host. It is for
        what :meth:`verify` would refuse on every host because of the image.

        :param requirement: a requirement of this mechanism
        :param properties: name of an image property -> its value, as Nova's
            ImageMetaProps has it; only those that are set. What a flavor says
            in the place of its image (``hw:sound_model``) is among them, as
            text.
        :returns: what is unmet; empty where some host may meet the requirement
        """
        return ()

    def confine(
        self,
        domain: 'etree._Element',
        wanted: requirements.Requirements,
        facts: F,
    ) -> None:
        """Change a guest's XML so that libvirt confines the guest as wanted.

        :param domain: the ``<domain>`` element, changed in place. A second
            call with the result of the first call changes nothing.
        :param wanted: requirements that :meth:`judge` accepted; at least
            one is of this mechanism
        :param facts: the facts of the host
        """
        return

    def judge_definition(
        self, domain: 'etree._Element', wanted: requirements.Requirements
    ) -> Iterable[reasons.Unmet]:
        """Decide whether a domain's XML has what :meth:`confine` writes.

        The libvirt hook calls this method. Somebody other than Nova may have
        written the XML, and the facts of the host are not known.

        :param domain: the ``<domain>`` element, as it was defined or as
            libvirt completes it when libvirt starts the guest; not changed
            here. It is an element of lxml, or in the libvirt hook an element
            of xml.etree, so an implementation may only use the methods that
            both have.
        :param wanted: the requirements, at least one of this mechanism; they
            may have problems
        :returns: what is unmet; empty for XML that :meth:`confine` wrote, and
            where :meth:`confine` writes nothing
        """
        return ()

    @abc.abstractmethod
    def verify(
        self,
        guest: sources.Guest,
        wanted: requirements.Requirements,
        facts: F,
        host: sources.Host,
    ) -> Iterator[Proof | reasons.Unmet]:
        """Verify that a started, paused guest meets its requirements.

        A proof must come from the running guest, the kernel or the
        hypervisor. It must not only repeat what :meth:`confine` wrote. It is
        something that was read: what cannot be read, or is not there, raises.
        The host does not examine first what it can see.

        :param guest: the started guest
        :param wanted: all requirements of the guest
        :param facts: facts that were measured after the guest was started
            and that :meth:`judge` accepted
        :param host: the host of the guest
        :returns: for each requirement of this mechanism at least one proof,
            or what is unmet
        :raises OSError, ValueError: the guest or the host cannot be read; the
            guest is then refused
        """


class HostMechanism(Mechanism[F]):
    """A mechanism whose facts the compute host measures about itself.

    :cvar facts_class: the frozen dataclass of the facts; its fields have the
        types that :mod:`nova_isolation.model.typed_section` allows
    :cvar unknown: the reason of a refusal where the host could not measure
    :cvar needs: what :meth:`~Mechanism.verify` reads of a guest's process. On
        a host that cannot see all of this the facts are unknown, so that no
        guest is sent there and then refused. Empty where no process is read.
        There is no default: each mechanism says it.
    """

    needs: typing.ClassVar[frozenset[sight.Sight]]
    facts_class: typing.ClassVar[type[typing.Any]]
    unknown: typing.ClassVar[reasons.Reason]

    @abc.abstractmethod
    def measure(self, host: sources.Host) -> F:
        """Measure the host that this process runs on.

        :returns: the facts, as small as possible and equal for alike hosts
        :raises OSError, ValueError: the host cannot be measured. Its facts
            are then unknown, and unknown facts meet no requirement.
        """

    def write(self, facts: F) -> object:
        """Return the facts as JSON values, for the facts document."""
        return typed_section.write(facts)

    def read(self, section: object) -> F:
        """Return the facts from the JSON values of :meth:`write`.

        :param section: a value from the network, so it can be any JSON value
            except null
        :raises nova_isolation.model.facts.FactsError: the section is
            malformed. A facts class can raise this error in
            ``__post_init__`` for values that the types of its fields allow
            and that are not valid.
        """
        result: F = typed_section.read(self.facts_class, section)
        return result

    @typing.final
    def observe(self, host: sources.Host) -> Observation:
        """See the base class."""
        # The facts are written to text and read back, so that this host
        # decides on the same facts as the scheduler.
        text = facts_.dumps({self.name: self.write(self.measure(host))})
        return Observation(section=facts_.loads(text).sections[self.name])

    @typing.final
    def facts_of(
        self,
        published: Mapping[str, object],
        evidence: Mapping[str, evidences.Evidence],
    ) -> F:
        """See the base class."""
        section = published.get(self.name)
        code = facts_.unseen_by(section)
        if code is not None:
            # A newer host may publish a code that this release lacks.
            reason = reasons.REASONS.get(code, self.unknown)
            if not reason.uncertain:
                raise facts_.FactsError(
                    reasons.FACTS_MALFORMED, f'unseen for {code}'
                )
            raise facts_.FactsError(
                reason, 'unknown' if reason.code == code else f'unseen: {code}'
            )
        if section is None:
            raise facts_.FactsError(self.unknown, 'unknown')
        return self.read(section)


class EvidenceMechanism(Mechanism[F]):
    """A mechanism whose facts a third party reports, never the host itself.

    While the age of the evidence is within :meth:`max_age`, the acceptance by
    :meth:`~Mechanism.judge` depends only on the document of the evidence.
    Otherwise its reason codes depend on the document and on how the age
    stands to the limits
    (:meth:`nova_isolation.model.evidence.Evidence.band`): whether there is
    one, whether it is in the future, and which limits it exceeds. The words
    of a refusal may say more.

    The attestation service makes the evidence from what its provider
    reports. So far it makes evidence for the mechanism ``attested`` alone
    (:mod:`nova_isolation.attestation.refresher`); for another
    EvidenceMechanism there is no evidence, and every flavor that needs the
    mechanism is refused.
    """

    @abc.abstractmethod
    def read(self, evidence: evidences.Evidence) -> F:
        """Return the typed facts of a third party's evidence.

        :raises nova_isolation.model.facts.FactsError: the evidence is
            malformed
        """

    def max_age(self, requirement: requirements.Requirement) -> float | None:
        """Return the maximum age of the evidence for a requirement.

        :returns: seconds; None where only the maximum age of the evidence
            itself counts
        """
        return None

    @typing.final
    def observe(self, host: sources.Host) -> Observation | None:
        """See the base class."""
        said = host.evidence(self.name)
        return None if said is None else Observation(evidence=said)

    @typing.final
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


#: The image property by which Nova runs a guest of another architecture than
#: the host's, in the emulator of that architecture and without KVM
#: (nova.virt.libvirt.driver, _configure_guest_by_virt_type).
EMULATED_ARCHITECTURE = 'hw_emulation_architecture'


def option_group(mechanism: str) -> str:
    """Return the name of the option group of a mechanism.

    :param mechanism: the name of the mechanism
    """
    return f'isolation_{mechanism}'
