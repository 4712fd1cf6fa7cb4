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

"""Mechanisms as other packages could bring them.

One of each kind that the contract has to fit: one that measures the host, one
whose facts a third party gives (as attestation will), and one that is
verified out of band, not through libvirt (as Xen's XSM will be).
"""

import dataclasses
import typing

from lxml import etree

from nova_isolation.mechanisms import base
from nova_isolation.mechanisms import registry
from nova_isolation.model import facts as facts_
from nova_isolation.model import reasons
from nova_isolation.model import traits
from nova_isolation.model import vocabulary


@dataclasses.dataclass(frozen=True)
class LockdownFacts:
    """The state of the kernel's lockdown."""

    LEVELS: typing.ClassVar = ('none', 'integrity', 'confidentiality')

    mode: str

    def __post_init__(self):
        """Strict."""
        if self.mode not in self.LEVELS:
            raise facts_.FactsError(reasons.FACTS_MALFORMED, self.mode)


class LockdownMechanism(base.HostMechanism[LockdownFacts]):
    """The kernel of the host is locked down; a host's own facts."""

    name = 'lockdown'
    extra_specs = (
        vocabulary.ExtraSpec(
            'isolation:lockdown',
            values=('integrity', 'confidentiality'),
            condition='the kernel is locked down as far',
            example='integrity',
        ),
    )
    WEAK = reasons.Reason(
        'isolation.lockdown.weak',
        'The kernel is not locked down as far as the flavor asks.',
        'Boot the host with lockdown=.',
    )
    UNKNOWN = reasons.Reason(
        'isolation.lockdown.unknown',
        'The host could not read the lockdown of its kernel.',
        'Look into the log of nova-compute.',
        uncertain=True,
    )
    own_reasons = (WEAK, UNKNOWN)
    FILE = '/sys/kernel/security/lockdown'
    LEVELS = LockdownFacts.LEVELS
    facts_class = LockdownFacts
    unknown = UNKNOWN
    needs = frozenset()

    def measure(self, host):
        """The word in brackets."""
        for word in host.read(self.FILE).split():
            if word.startswith('['):
                return LockdownFacts(word.strip('[]'))
        raise ValueError('no word in brackets')

    def _reached(self, mode):
        return self.LEVELS[1 : self.LEVELS.index(mode) + 1]

    def traits(self, facts):
        """One for each level that is reached."""
        return frozenset(
            traits.name('LOCKDOWN', m) for m in self._reached(facts.mode)
        )

    def required_traits(self, requirement):
        """The level."""
        return frozenset({traits.name('LOCKDOWN', requirement.value)})

    def judge(self, requirement, facts):
        """At least the level."""
        if requirement.value not in self._reached(facts.mode):
            yield requirement.unmet(self.WEAK, facts.mode)

    def verify(self, guest, wanted, facts, host):
        """Of the host."""
        for item in wanted.of(self.name):
            unmet = tuple(self.judge(item, self.measure(host)))
            yield from unmet
            if not unmet:
                yield base.Proof(item.key, facts.mode)


@dataclasses.dataclass(frozen=True)
class Quote:
    """Evidence in a form of its own; only its reader looks into it."""

    document: object


class QuoteMechanism(base.EvidenceMechanism[frozenset]):
    """A verifier vouches for parts of the host; never the host itself."""

    name = 'quote'
    extra_specs = (
        vocabulary.ExtraSpec(
            'isolation:quote',
            values=('boot', 'kernel'),
            several=True,
            condition='a verifier vouches for each part',
            example='boot',
        ),
    )
    UNTRUSTED = reasons.Reason(
        'isolation.quote.untrusted',
        'The verifier does not vouch for it.',
        'Look into the log of the verifier.',
    )
    own_reasons = (UNTRUSTED,)

    def read(self, evidence):
        """The parts that are vouched for."""
        section = evidence.document if isinstance(evidence, Quote) else None
        parts = section.get('trusted') if isinstance(section, dict) else None
        if not isinstance(parts, list) or not all(
            type(p) is str for p in parts
        ):
            raise facts_.FactsError(reasons.FACTS_MALFORMED, 'no evidence')
        return frozenset(parts)

    def traits(self, facts):
        """A host earns none by itself, but the verifier may set them."""
        return frozenset(traits.name('QUOTED', p) for p in facts)

    def required_traits(self, requirement):
        """One for each part."""
        return frozenset(traits.name('QUOTED', v) for v in requirement.values)

    def judge(self, requirement, facts):
        """Each part."""
        missing = sorted(set(requirement.values) - facts)
        if missing:
            yield requirement.unmet(
                self.UNTRUSTED, ','.join(sorted(facts)) or 'none'
            )

    def verify(self, guest, wanted, facts, host):
        """The evidence is fresh: there is nothing of the guest to read."""
        for item in wanted.of(self.name):
            unmet = tuple(self.judge(item, facts))
            yield from unmet
            if not unmet:
                yield base.Proof(item.key, 'vouched for')


@dataclasses.dataclass(frozen=True)
class FlaskFacts:
    """The labels of the loaded policy."""

    labels: tuple[str, ...]


class FlaskMechanism(base.HostMechanism[FlaskFacts]):
    """A label of the hypervisor's own policy, read from its toolstack."""

    name = 'flask'
    extra_specs = (
        vocabulary.ExtraSpec(
            'isolation:flask_label',
            pattern='[a-z_]+',
            compatible=(('isolation:hypervisor', ('xen',)),),
            condition='the hypervisor gives the guest the label',
            example='domu_t',
        ),
    )
    NO_LABEL = reasons.Reason(
        'isolation.flask.no_label',
        'The policy has no such label.',
        'Load a policy that has.',
    )
    WRONG = reasons.Reason(
        'isolation.flask.wrong_label',
        'The guest has another label.',
        'Look into the log of the hypervisor.',
    )
    UNKNOWN = reasons.Reason(
        'isolation.flask.unknown',
        'The host could not read the labels of the policy.',
        'Look into the log of nova-compute.',
        uncertain=True,
    )
    own_reasons = (NO_LABEL, WRONG, UNKNOWN)
    FILE = '/proc/xen/flask'

    facts_class = FlaskFacts
    unknown = UNKNOWN
    needs = frozenset()

    #: What the hypervisor's own tool says: UUID of the guest -> label.
    toolstack: typing.ClassVar[dict[str, str]] = {}

    def measure(self, host):
        """A label a line."""
        return FlaskFacts(tuple(sorted(host.read(self.FILE).split())))

    def traits(self, facts):
        """One for each label."""
        return frozenset(traits.name('FLASK', n) for n in facts.labels)

    def required_traits(self, requirement):
        """The label's."""
        return frozenset({traits.name('FLASK', requirement.value)})

    def judge(self, requirement, facts):
        """The policy has it."""
        if requirement.value not in facts.labels:
            yield requirement.unmet(self.NO_LABEL, 'none')

    def confine(self, domain, wanted, facts):
        """In the XML."""
        (item,) = wanted.of(self.name)
        for old in domain.findall('seclabel[@model="flask"]'):
            domain.remove(old)
        label = etree.SubElement(domain, 'seclabel', model='flask')
        etree.SubElement(label, 'label').text = item.value

    def judge_definition(self, domain, wanted):
        """As it was written."""
        for item in wanted.of(self.name):
            found = domain.findtext('seclabel[@model="flask"]/label')
            if found != item.value:
                yield item.unmet(self.WRONG, found or 'no label')

    def verify(self, guest, wanted, facts, host):
        """Not libvirt's word: the hypervisor's."""
        for item in wanted.of(self.name):
            found = self.toolstack.get(guest.uuid, 'nothing')
            if found == item.value:
                yield base.Proof(item.key, found)
            else:
                yield item.unmet(self.WRONG, found)


EXAMPLES = (LockdownMechanism, QuoteMechanism, FlaskMechanism)


def built_in_classes():
    """name -> class, of the mechanisms that are installed here."""
    return {n: type(m) for n, m in registry.get().loaded.items()}


def all_mechanisms():
    """The installed mechanisms and the examples."""
    return registry.build(
        {**built_in_classes(), **{c.name: c for c in EXAMPLES}}
    )
