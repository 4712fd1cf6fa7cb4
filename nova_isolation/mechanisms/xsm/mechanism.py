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

"""Xen's security modules (XSM) with FLASK: labels of the hypervisor."""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import typing

from nova_isolation.mechanisms import base
from nova_isolation.mechanisms import sources
from nova_isolation.mechanisms.xsm import definition
from nova_isolation.mechanisms.xsm import extra_specs
from nova_isolation.mechanisms.xsm import flask_label
from nova_isolation.mechanisms.xsm import reason_codes
from nova_isolation.mechanisms.xsm import running_domain
from nova_isolation.mechanisms.xsm import xsm_facts
from nova_isolation.model import reasons
from nova_isolation.model import requirements
from nova_isolation.model import traits
from nova_isolation.probes.xen import answers

if typing.TYPE_CHECKING:
    # The libvirt hook passes elements of xml.etree; an import of lxml would
    # take longer than the hook's whole decision.
    from lxml import etree
    from oslo_config import cfg

_LABEL = definition.LABEL
_ISOLATED = 'isolation:xsm_isolated'
_MODEL = 'isolation:xsm_device_model'
_BACKEND = 'isolation:xsm_backend'
_DOM0 = 'isolation:xsm_dom0'


#: The image property of the machine, the values of it with which
#: hw_vm_mode decides, and the machine of guests that have a device model. They
#: are those of the driver (nova_isolation.virt.xen.guest_kind).
_MACHINE, _UNDECIDED, _HVM = 'hw_machine_type', (None, 'pc'), 'xenfv'


class XsmMechanism(base.HostMechanism[xsm_facts.XsmFacts]):
    """``isolation:xsm_label`` and the other extra specs of Xen."""

    name = 'xsm'
    extra_specs = extra_specs.ROWS
    own_reasons = reason_codes.ALL
    facts_class = xsm_facts.XsmFacts
    unknown = reason_codes.UNKNOWN
    # The processes that are read are those of dom0's tools. Where they cannot
    # be seen, that is a fact of its own.
    needs = frozenset()

    @classmethod
    def options(cls) -> 'Sequence[cfg.Opt]':
        """See the base class."""
        from nova_isolation.mechanisms.xsm import options

        return options.OPTIONS

    def measure(self, host: sources.Host) -> xsm_facts.XsmFacts:
        """Measure the hypervisor, its policy and the tools of dom0."""
        return xsm_facts.measure(host, host.options(self.name))

    def traits(self, facts: xsm_facts.XsmFacts) -> frozenset[str]:
        """Return traits for XSM, each label, each backend, and dom0."""
        if facts.flask != answers.ENFORCING:
            return frozenset()
        result = {traits.name('XSM')}
        result.update(traits.name('XSM_LABEL', one) for one in facts.labels)
        if facts.dom0 == ():
            result.add(traits.name('XSM_DOM0', 'selinux'))
        return frozenset(result)

    def required_traits(
        self, requirement: requirements.Requirement
    ) -> frozenset[str]:
        """Return the trait of the requirement, or that of XSM."""
        if requirement.key == _LABEL:
            label = flask_label.short(requirement.value)
            return frozenset({traits.name('XSM_LABEL', label)})
        if requirement.key == _DOM0:
            return frozenset({traits.name('XSM_DOM0', requirement.value)})
        return frozenset({traits.name('XSM')})

    def judge(
        self, requirement: requirements.Requirement, facts: xsm_facts.XsmFacts
    ) -> Iterator[reasons.Unmet]:
        """See the base class."""
        if facts.flask == xsm_facts.NO_XEN:
            yield requirement.unmet(reason_codes.NO_XEN, 'no Xen')
        elif facts.flask == answers.ABSENT:
            yield requirement.unmet(reason_codes.NO_XSM, 'Xen without XSM')
        elif facts.flask != answers.ENFORCING:
            yield requirement.unmet(
                reason_codes.NOT_ENFORCING, f'XSM {facts.flask}'
            )
        else:
            yield from _JUDGES[requirement.key](requirement, facts)

    def judge_image(
        self,
        requirement: requirements.Requirement,
        properties: Mapping[str, object],
    ) -> Iterator[reasons.Unmet]:
        """Decide about an image of HVM guests, which have a device model.

        What an image becomes that says nothing is the host's to decide.
        """
        if requirement.key != _MODEL or requirement.value != 'none':
            return
        machine = properties.get(_MACHINE)
        mode = properties.get('hw_vm_mode')
        if machine == _HVM:
            found = f'{_MACHINE}={machine}'
        elif machine in _UNDECIDED and mode == 'hvm':
            found = f'hw_vm_mode={mode}'
        else:
            return
        yield requirement.unmet(
            reason_codes.DEVICE_MODEL, f'an image of HVM guests with {found}'
        )

    def confine(
        self,
        domain: 'etree._Element',
        wanted: requirements.Requirements,
        facts: xsm_facts.XsmFacts,
    ) -> None:
        """Write the label into the XML as the first ``<seclabel>``.

        libvirt's driver of Xen takes the first one, whatever its model.
        """
        requirement = wanted.get(_LABEL)
        if requirement is None:
            return
        from lxml import etree

        others = []
        for old in domain.findall('seclabel'):
            domain.remove(old)
            if old.get('model') not in (None, 'flask'):
                others.append(old)
        label = etree.SubElement(domain, 'seclabel', definition.ATTRIBUTES)
        text = etree.SubElement(label, 'label')
        text.text = flask_label.full(requirement.value)
        domain.extend(others)

    def judge_definition(
        self, domain: 'etree._Element', wanted: requirements.Requirements
    ) -> Iterator[reasons.Unmet]:
        """Accept only the ``<seclabel>`` that :meth:`confine` writes."""
        requirement = wanted.get(_LABEL)
        if requirement is None or definition.fits(
            domain, {_LABEL: requirement.values}
        ):
            return
        found = [
            f'{one.get("type")} {one.get("model")} {one.findtext("label")}'
            for one in domain.findall('seclabel')
        ]
        label = flask_label.full(requirement.value)
        yield requirement.unmet(
            reason_codes.DEFINITION,
            ', '.join(found) or 'no seclabel',
            f'first a static seclabel of model flask, {label}',
        )

    def verify(
        self,
        guest: sources.Guest,
        wanted: requirements.Requirements,
        facts: xsm_facts.XsmFacts,
        host: sources.Host,
    ) -> Iterator[base.Proof | reasons.Unmet]:
        """Verify what the hypervisor and xenstore say of the domain."""
        xen = host.xen()
        if xen is None:
            for item in wanted.of(self.name):
                yield item.unmet(reason_codes.NO_XEN, 'no Xen')
            return
        domain = running_domain.RunningDomain(
            guest, host, xen, host.options(self.name), facts
        )
        changed = domain.changed()
        for item in wanted.of(self.name):
            if changed is not None:
                yield item.unmet(*changed)
            else:
                yield from _VERIFIERS[item.key](item, domain)


def _judge_label(
    requirement: requirements.Requirement, facts: xsm_facts.XsmFacts
) -> Iterator[reasons.Unmet]:
    label = flask_label.short(requirement.value)
    if flask_label.is_forbidden(label):
        yield requirement.unmet(
            reason_codes.FORBIDDEN, 'a label that is for no guest'
        )
    elif label not in facts.labels:
        yield requirement.unmet(
            reason_codes.NO_LABEL,
            f'only {", ".join(facts.labels)}' if facts.labels else 'no label',
        )


def _judge_isolated(
    requirement: requirements.Requirement, facts: xsm_facts.XsmFacts
) -> Iterator[reasons.Unmet]:
    label = _label_beside(requirement)
    if label not in facts.isolated:
        yield requirement.unmet(
            reason_codes.NOT_ISOLATED, f'guests of {label} are not isolated'
        )


def _judge_device_model(
    requirement: requirements.Requirement, facts: xsm_facts.XsmFacts
) -> Iterator[reasons.Unmet]:
    if requirement.value != 'none':
        yield requirement.unmet(reason_codes.NO_STUB_DOMAIN, 'no stub domains')
    elif facts.dom0 is None:
        yield requirement.unmet(reason_codes.UNKNOWN, 'unknown processes')


def _judge_backend(
    requirement: requirements.Requirement, facts: xsm_facts.XsmFacts
) -> Iterator[reasons.Unmet]:
    if requirement.value == xsm_facts.DOM0:
        yield from _judge_dom0(requirement, facts)
        return
    if flask_label.is_forbidden(flask_label.short(requirement.value)):
        yield requirement.unmet(
            reason_codes.FORBIDDEN, 'a label that is for no driver domain'
        )
        return
    # Whatever runs and whatever the policy allows: dom0 makes and serves the
    # disks and ports of Nova's guests. A host that offered such a label would
    # take the guest and refuse it at its start.
    yield requirement.unmet(
        reason_codes.NO_BACKEND,
        'disks and ports served by dom0 alone',
    )


def _judge_dom0(
    requirement: requirements.Requirement, facts: xsm_facts.XsmFacts
) -> Iterator[reasons.Unmet]:
    if facts.dom0 is None:
        yield requirement.unmet(reason_codes.UNKNOWN, 'unknown processes')
    elif facts.dom0:
        yield requirement.unmet(reason_codes.UNCONFINED, ', '.join(facts.dom0))


def _label_beside(requirement: requirements.Requirement) -> str:
    """Return the label of a guest of the flavor, as flavors name it."""
    return flask_label.short(
        dict(requirement.beside).get(_LABEL, flask_label.DEFAULT)
    )


_JUDGES = {
    _LABEL: _judge_label,
    _ISOLATED: _judge_isolated,
    _MODEL: _judge_device_model,
    _BACKEND: _judge_backend,
    _DOM0: _judge_dom0,
}

_VERIFIERS = {
    _LABEL: running_domain.verify_label,
    _ISOLATED: running_domain.verify_isolated,
    _MODEL: running_domain.verify_device_model,
    _BACKEND: running_domain.verify_backend,
    _DOM0: running_domain.verify_dom0,
}
