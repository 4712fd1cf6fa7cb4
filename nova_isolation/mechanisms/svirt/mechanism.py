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
import dataclasses
import logging
import typing

from nova_isolation.mechanisms import base
from nova_isolation.mechanisms.svirt import extra_specs
from nova_isolation.mechanisms.svirt import reason_codes
from nova_isolation.mechanisms.svirt import seclabel_xml
from nova_isolation.mechanisms.svirt import security_label
from nova_isolation.model import reasons
from nova_isolation.model import requirements
from nova_isolation.model import traits
from nova_isolation.probes import apparmor
from nova_isolation.probes import libvirt_xml
from nova_isolation.probes import selinux

if typing.TYPE_CHECKING:
    # The libvirt hook passes elements of xml.etree; an import of lxml would
    # take longer than the hook's whole decision.
    from lxml import etree
    from oslo_config import cfg

LOG = logging.getLogger(__name__)

_MODEL = 'isolation:svirt'
_TYPE = 'isolation:svirt_type'

#: The models, in the order in which ``any`` prefers them. libvirt's third
#: driver, dac, is plain Unix ownership, which no flavor needs to require.
_MODELS = ('selinux', 'apparmor')

ENFORCING = 'enforcing'


@dataclasses.dataclass(frozen=True)
class SvirtFacts:
    """The facts about libvirt's confinement.

    :ivar models: the models of :data:`_MODELS` that libvirt has drivers for
    :ivar selinux: enforcing, permissive, disabled; None: unknown
    :ivar policy: mls, mcs, plain; None: unknown or no SELinux
    :ivar apparmor: enforcing, complain, disabled; None: unknown
    :ivar types: the SELinux types that the host allows for guests and that
        the kernel enforces
    """

    models: tuple[str, ...]
    selinux: str | None
    policy: str | None
    apparmor: str | None
    types: tuple[str, ...]

    def mode(self, model: str) -> str | None:
        """Return the state of a model's security module."""
        return self.selinux if model == 'selinux' else self.apparmor

    @property
    def enforced(self) -> tuple[str, ...]:
        """The models that are enforced, the preferred model first."""
        return tuple(
            m
            for m in _MODELS
            if m in self.models and self.mode(m) == ENFORCING
        )


class SvirtMechanism(base.HostMechanism[SvirtFacts]):
    """``isolation:svirt`` and ``isolation:svirt_type``."""

    name = 'svirt'
    extra_specs = extra_specs.ROWS
    own_reasons = reason_codes.ALL
    facts_class = SvirtFacts
    unknown = reason_codes.UNKNOWN

    @classmethod
    def options(cls) -> 'Sequence[cfg.Opt]':
        """See the base class."""
        from nova_isolation.mechanisms.svirt import options

        return options.OPTIONS

    def measure(self, host: base.Host) -> SvirtFacts:
        """Measure libvirt's drivers and the kernel's security modules."""
        drivers = libvirt_xml.security_models(host.capabilities())
        models = tuple(m for m in _MODELS if m in drivers)
        mode = _state(selinux.mode, host)
        on = mode not in (None, 'disabled')
        return SvirtFacts(
            models,
            mode,
            _state(selinux.policy, host) if on else None,
            _state(apparmor.mode, host),
            self._types(host) if on and 'selinux' in models else (),
        )

    def _types(self, host: base.Host) -> tuple[str, ...]:
        """Return the enforced types of ``[isolation_svirt] types``."""
        (spec,) = (s for s in self.extra_specs if s.key == _TYPE)
        found = []
        for text in sorted(set(host.options(self.name).types)):
            for type_ in spec.parse(text):
                try:
                    enforced = selinux.enforced(
                        security_label.base(type_), host.read, host.ask
                    )
                except (OSError, ValueError) as error:
                    LOG.warning(
                        'Mechanism svirt cannot read whether the kernel '
                        'enforces SELinux type %(type)s; flavors that need '
                        'the type are refused on this host: %(error)s',
                        {'type': type_, 'error': error},
                    )
                    continue
                if enforced:
                    found.append(type_)
        return tuple(found)

    def traits(self, facts: SvirtFacts) -> frozenset[str]:
        """Return a trait for each enforced model, for any, for each type."""
        result = {traits.name('SVIRT', model) for model in facts.enforced}
        if result:
            result.add(traits.name('SVIRT', 'ANY'))
        if 'selinux' in facts.enforced:
            result.update(traits.name('SVIRT_TYPE', t) for t in facts.types)
        return frozenset(result)

    def required_traits(
        self, requirement: requirements.Requirement
    ) -> frozenset[str]:
        """Return the trait of the requirement, named as in :meth:`traits`."""
        prefix = 'SVIRT' if requirement.key == _MODEL else 'SVIRT_TYPE'
        return frozenset({traits.name(prefix, requirement.value)})

    def judge(
        self, requirement: requirements.Requirement, facts: SvirtFacts
    ) -> Iterator[reasons.Unmet]:
        """See the base class."""
        if requirement.key == _TYPE:
            if 'selinux' not in facts.enforced:
                yield requirement.unmet(
                    reason_codes.TYPE, 'no confinement by SELinux'
                )
            elif requirement.value not in facts.types:
                yield requirement.unmet(
                    reason_codes.TYPE,
                    f'only {", ".join(facts.types)}'
                    if facts.types
                    else 'no allowed type',
                )
            return
        models = _candidates(requirement)
        if set(models) & set(facts.enforced):
            return
        available = [m for m in models if m in facts.models]
        if not available:
            yield requirement.unmet(
                reason_codes.NO_MODEL,
                f'only {", ".join(facts.models)}'
                if facts.models
                else 'no security model',
            )
        elif any(facts.mode(m) is None for m in available):
            yield requirement.unmet(reason_codes.UNKNOWN, 'unknown')
        else:
            yield requirement.unmet(
                reason_codes.NOT_ENFORCING,
                ', '.join(f'{m} {facts.mode(m)}' for m in available),
                f'{requirement.value}, enforcing',
            )

    def confine(
        self,
        domain: 'etree._Element',
        wanted: requirements.Requirements,
        facts: SvirtFacts,
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
            if old.get('model') in (None, *_MODELS):
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
            yield from seclabel_xml.check(
                domain, _candidates(model), model, type_
            )

    def verify(
        self,
        guest: base.Guest,
        wanted: requirements.Requirements,
        facts: SvirtFacts,
        host: base.Host,
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
        type_ = wanted.get(_TYPE)
        allowed = tuple(
            t for t in facts.types if type_ is None or t in type_.values
        )
        unmet = tuple(
            security_label.check(
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


def _state(probe: selinux.Probe, host: base.Host) -> str | None:
    """Return the result of a probe; None where the probe fails.

    An unknown state of one security module does not affect the others.
    """
    try:
        return probe(host.read)
    except (OSError, ValueError) as error:
        LOG.warning(
            'Mechanism svirt cannot read the state of a security module: %s',
            error,
        )
        return None


def _candidates(requirement: requirements.Requirement) -> tuple[str, ...]:
    """Return the models that meet the requirement."""
    return _MODELS if requirement.value == 'any' else requirement.values


def _chosen(
    wanted: requirements.Requirements, facts: SvirtFacts
) -> str | None:
    """Return the model that confines the guest on this host."""
    requirement = wanted.get(_MODEL)
    if requirement is None:
        return None
    candidates = _candidates(requirement)
    return next((m for m in facts.enforced if m in candidates), None)


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
