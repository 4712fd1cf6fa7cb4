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

"""sVirt: libvirt confines each guest with a label of SELinux or AppArmor."""

from collections.abc import Iterator
from collections.abc import Sequence
import typing

from nova_isolation.mechanisms import base
from nova_isolation.mechanisms import sources
from nova_isolation.mechanisms.svirt import definition
from nova_isolation.mechanisms.svirt import extra_specs
from nova_isolation.mechanisms.svirt import label_check
from nova_isolation.mechanisms.svirt import reason_codes
from nova_isolation.mechanisms.svirt import seclabel_xml
from nova_isolation.mechanisms.svirt import security_label
from nova_isolation.mechanisms.svirt import svirt_facts
from nova_isolation.model import reasons
from nova_isolation.model import requirements
from nova_isolation.model import sight
from nova_isolation.model import traits

if typing.TYPE_CHECKING:
    # The libvirt hook passes elements of xml.etree; an import of lxml would
    # take longer than the hook's whole decision.
    from lxml import etree
    from oslo_config import cfg

_MODEL = definition.MODEL
_TYPE = definition.TYPE


class SvirtMechanism(base.HostMechanism[svirt_facts.SvirtFacts]):
    """``isolation:svirt`` and ``isolation:svirt_type``."""

    name = 'svirt'
    extra_specs = extra_specs.ROWS
    own_reasons = reason_codes.ALL
    facts_class = svirt_facts.SvirtFacts
    unknown = reason_codes.UNKNOWN
    needs = frozenset({sight.Sight.PROCESS})

    @classmethod
    def options(cls) -> 'Sequence[cfg.Opt]':
        """See the base class."""
        from nova_isolation.mechanisms.svirt import options

        return options.OPTIONS

    def measure(self, host: sources.Host) -> svirt_facts.SvirtFacts:
        """Measure libvirt's drivers and the kernel's security modules."""
        (spec,) = (s for s in self.extra_specs if s.key == _TYPE)
        types = host.options(self.name).types
        return svirt_facts.measure(host, map(spec.parse, types))

    def traits(self, facts: svirt_facts.SvirtFacts) -> frozenset[str]:
        """Return a trait for the enforced model, for any, for each type.

        The trait of the model says that a guest without
        ``isolation:svirt_type`` can be proven.
        """
        result = set()
        if facts.enforced and facts.is_default_proven:
            result.add(traits.name('SVIRT', facts.enforced))
            result.add(traits.name('SVIRT', 'ANY'))
        if facts.enforced == 'selinux':
            result.update(
                traits.name('SVIRT_TYPE', t) for t in facts.types or ()
            )
        return frozenset(result)

    def required_traits(
        self, requirement: requirements.Requirement
    ) -> frozenset[str]:
        """Return the trait of the requirement, named as in :meth:`traits`.

        Where the flavor names a type, the trait of the type is the only one.
        """
        if requirement.key == _TYPE:
            return frozenset({traits.name('SVIRT_TYPE', requirement.value)})
        if _type_beside(requirement) is not None:
            return frozenset()
        return frozenset({traits.name('SVIRT', requirement.value)})

    def judge(
        self,
        requirement: requirements.Requirement,
        facts: svirt_facts.SvirtFacts,
    ) -> Iterator[reasons.Unmet]:
        """See the base class."""
        if requirement.key == _TYPE:
            if facts.enforced != 'selinux':
                yield requirement.unmet(
                    reason_codes.TYPE, 'no confinement by SELinux'
                )
            elif facts.types is None:
                yield requirement.unmet(reason_codes.UNKNOWN, 'unknown')
            elif requirement.value not in facts.types:
                yield requirement.unmet(
                    reason_codes.TYPE,
                    f'only {", ".join(facts.types)}'
                    if facts.types
                    else 'no allowed type',
                )
            return
        if facts.model not in definition.models(requirement.values):
            yield requirement.unmet(
                reason_codes.NO_MODEL,
                f'only {facts.model}' if facts.model else 'no security model',
            )
        elif facts.mode is None:
            yield requirement.unmet(reason_codes.UNKNOWN, 'unknown')
        elif facts.mode == 'unmounted':
            yield requirement.unmet(
                reason_codes.UNMOUNTED, 'no /sys/fs/selinux'
            )
        elif facts.mode != svirt_facts.ENFORCING:
            yield requirement.unmet(
                reason_codes.NOT_ENFORCING,
                f'{facts.model} {facts.mode}',
                f'{requirement.value}, enforcing',
            )
        elif _type_beside(requirement) is None:
            # Otherwise the type is judged with isolation:svirt_type.
            yield from _unmet_default(requirement, facts)

    def confine(
        self,
        domain: 'etree._Element',
        wanted: requirements.Requirements,
        facts: svirt_facts.SvirtFacts,
    ) -> None:
        """Name the security model in the XML, so that the XML fails closed.

        libvirt refuses a domain whose model has no driver, also when the
        domain arrives by migration. The label is dynamic: libvirt then
        relabels the disks and chooses categories that are free on this host.
        A static label could clash with that of another guest after a
        migration.
        """
        model = _chosen(wanted, facts)
        if model is None:
            return
        for old in domain.findall('seclabel'):
            if old.get('model') in (None, *definition.MODELS):
                domain.remove(old)
        from lxml import etree

        label = etree.SubElement(
            domain, 'seclabel', type='dynamic', model=model, relabel='yes'
        )
        type_ = wanted.get(_TYPE)
        if type_ is not None:
            base_label = etree.SubElement(label, 'baselabel')
            base_label.text = security_label.base(type_.value)

    def judge_definition(
        self, domain: 'etree._Element', wanted: requirements.Requirements
    ) -> Iterator[reasons.Unmet]:
        """Accept only a ``<seclabel>`` as :meth:`confine` writes it."""
        model, type_ = wanted.get(_MODEL), wanted.get(_TYPE)
        if model is not None:
            yield from seclabel_xml.check(domain, model, type_)

    def verify(
        self,
        guest: sources.Guest,
        wanted: requirements.Requirements,
        facts: svirt_facts.SvirtFacts,
        host: sources.Host,
    ) -> Iterator[base.Proof | reasons.Unmet]:
        """Verify the labels that libvirt and the kernel report."""
        model = _chosen(wanted, facts)
        requirement = wanted.get(_MODEL)
        if requirement is None or model is None:
            for item in wanted.of(self.name):
                yield item.unmet(
                    reason_codes.NOT_ENFORCING, 'no enforced security model'
                )
            return
        label, enforced = guest.security_label()
        running = guest.process()
        if running is None:
            for item in wanted.of(self.name):
                yield item.unmet(
                    reasons.VERIFY_NO_PROCESS, 'a guest without a process'
                )
            return
        process = running.label()
        if not enforced:
            yield requirement.unmet(
                reason_codes.NOT_ENFORCING,
                f'{label}, which libvirt reports as not enforced',
                f'{model}, enforcing',
            )
            return
        if model == 'apparmor':
            yield _verify_apparmor(requirement, guest.uuid, label, process)
            return
        if facts.types is None:
            yield requirement.unmet(reason_codes.UNKNOWN, 'unknown types')
            return
        type_ = wanted.get(_TYPE)
        allowed = tuple(
            t for t in facts.types if type_ is None or t in type_.values
        )
        unmet = tuple(
            label_check.check(
                type_ or requirement,
                label,
                process,
                allowed,
                guest.other_process_labels(),
            )
        )
        yield from unmet
        if not unmet:
            for item in wanted.of(self.name):
                yield base.Proof(item.key, f'{process}, enforcing')


def _chosen(
    wanted: requirements.Requirements, facts: svirt_facts.SvirtFacts
) -> str | None:
    """Return the model that confines the guest on this host."""
    requirement = wanted.get(_MODEL)
    if requirement is None:
        return None
    model = facts.enforced
    return model if model in definition.models(requirement.values) else None


def _type_beside(requirement: requirements.Requirement) -> str | None:
    """Return the type that the flavor asks for beside the model, if any."""
    return dict(requirement.beside).get(_TYPE)


def _unmet_default(
    requirement: requirements.Requirement, facts: svirt_facts.SvirtFacts
) -> Iterator[reasons.Unmet]:
    """Judge the label that libvirt gives to a guest without a type."""
    if facts.is_default_proven:
        return
    if facts.default is None or facts.types is None:
        yield requirement.unmet(
            reason_codes.UNKNOWN, 'an unknown SELinux type of guests'
        )
        return
    types = ' or '.join(facts.types) or '(none is allowed and enforced)'
    yield requirement.unmet(
        reason_codes.DEFAULT_TYPE,
        f'guests of type {facts.default}',
        f'{requirement.value}, guests of type {types}',
    )


def _verify_apparmor(
    requirement: requirements.Requirement,
    uuid: str,
    label: str,
    process: str,
) -> base.Proof | reasons.Unmet:
    """Verify that the guest has its own profile, in the mode enforce."""
    profile = security_label.profile(uuid)
    if label == profile and process == f'{profile} (enforce)':
        return base.Proof(requirement.key, process)
    return requirement.unmet(
        reason_codes.LABEL,
        f'libvirt: {label}, kernel: {process}',
        f'{profile} (enforce)',
    )
