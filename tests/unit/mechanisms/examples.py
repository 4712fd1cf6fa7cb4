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
from nova_isolation.model import typed_section
from nova_isolation.model import vocabulary


@dataclasses.dataclass(frozen=True)
class LockdownFacts:
    """The state of the kernel's lockdown."""

    mode: str


class LockdownMechanism(base.Mechanism[LockdownFacts]):
    """The kernel of the host is locked down; a host's own facts."""

    name = 'lockdown'
    extra_specs = (
        vocabulary.ExtraSpec(
            'isolation:lockdown',
            mechanism='lockdown',
            values=('integrity', 'confidentiality'),
            condition='the kernel is locked down as far',
            example='integrity',
        ),
    )
    WEAK = reasons.Reason(
        'isolation.lockdown.weak',
        'The kernel is not locked down as far as the flavor asks.',
        'Boot it with lockdown=.',
    )
    UNKNOWN = reasons.Reason(
        'isolation.lockdown.unknown',
        'The host could not tell.',
        'Look into its log.',
    )
    own_reasons = (WEAK, UNKNOWN)
    FILE = '/sys/kernel/security/lockdown'
    LEVELS = ('none', 'integrity', 'confidentiality')

    def measure(self, host):
        """The word in brackets."""
        for word in host.read(self.FILE).split():
            if word.startswith('['):
                return typed_section.write(LockdownFacts(word.strip('[]')))
        raise ValueError('no word in brackets')

    def read(self, section_):
        """Strict."""
        result = typed_section.read(LockdownFacts, section_)
        if result.mode not in self.LEVELS:
            raise facts_.FactsError(reasons.FACTS_MALFORMED, result.mode)
        return result

    def unknown(self):
        """Its own."""
        return self.UNKNOWN

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
            unmet = tuple(self.judge(item, self.read(self.measure(host))))
            yield from unmet
            if not unmet:
                yield base.Proof(item.key, facts.mode)


class QuoteMechanism(base.Mechanism[frozenset]):
    """A verifier vouches for parts of the host; never the host itself."""

    name = 'quote'
    source = base.Source.THIRD_PARTY
    extra_specs = (
        vocabulary.ExtraSpec(
            'isolation:quoted',
            mechanism='quote',
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

    def measure(self, host):
        """Never called."""
        raise NotImplementedError

    def read(self, section):
        """The parts that are vouched for."""
        parts = section.get('trusted') if isinstance(section, dict) else None
        if not isinstance(parts, list) or not all(
            type(p) is str for p in parts
        ):
            raise facts_.FactsError(reasons.FACTS_MALFORMED, 'no evidence')
        return frozenset(parts)

    def unknown(self):
        """Not the host's affair."""
        return reasons.EVIDENCE_MISSING

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


class FlaskMechanism(base.Mechanism[FlaskFacts]):
    """A label of the hypervisor's own policy, read from its toolstack."""

    name = 'flask'
    extra_specs = (
        vocabulary.ExtraSpec(
            'isolation:flask_label',
            mechanism='flask',
            pattern='[a-z_]+',
            hypervisors=('xen',),
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
    own_reasons = (NO_LABEL, WRONG)
    FILE = '/proc/xen/flask'

    #: What the hypervisor's own tool says: UUID of the guest -> label.
    toolstack: typing.ClassVar[dict[str, str]] = {}

    def measure(self, host):
        """A label a line."""
        return typed_section.write(
            FlaskFacts(tuple(sorted(host.read(self.FILE).split())))
        )

    def read(self, section_):
        """Strict."""
        return typed_section.read(FlaskFacts, section_)

    def unknown(self):
        """One reason for both."""
        return self.NO_LABEL

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
