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

"""An example of a mechanism: ``isolation:smt=off``.

Two guests that share a core can spy on each other. This mechanism keeps a
guest to hosts on which simultaneous multithreading is off.

>>> from nova_isolation.mechanisms import registry
>>> from nova_isolation.model import requirements
>>> mechanisms = registry.build({'smt': SmtMechanism})
>>> flavor = {'isolation:smt': 'off'}
>>> wanted = requirements.parse(flavor, mechanisms.vocabulary)
>>> smt = mechanisms.loaded['smt']
>>> print(*smt.judge(wanted.items[0], SmtFacts(off=False)))
isolation:smt: wanted off, found SMT is active [isolation.smt.active]
>>> list(smt.judge(wanted.items[0], SmtFacts(off=True)))
[]
>>> sorted(smt.traits(SmtFacts(off=True)))
['CUSTOM_ISOLATION_SMT_OFF']
"""

from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import typing

from nova_isolation.mechanisms import base
from nova_isolation.mechanisms import sources
from nova_isolation.model import reasons
from nova_isolation.model import requirements
from nova_isolation.model import traits
from nova_isolation.model import vocabulary

if typing.TYPE_CHECKING:
    from oslo_config import cfg

UNKNOWN = reasons.Reason(
    'isolation.smt.unknown',
    'The host could not find out whether SMT is active.',
    'Look for the failed probe in the log of nova-compute.',
    uncertain=True,
)
ACTIVE = reasons.Reason(
    'isolation.smt.active',
    'Simultaneous multithreading is active on the host.',
    'Boot the host with the kernel parameter nosmt.',
)

_OFF = frozenset({traits.name('SMT', 'OFF')})


@dataclasses.dataclass(frozen=True)
class SmtFacts:
    """What is known of the host's cores.

    :ivar off: whether no two threads share a core
    """

    off: bool


class SmtMechanism(base.HostMechanism[SmtFacts]):
    """``isolation:smt``."""

    name = 'smt'
    extra_specs = (
        vocabulary.ExtraSpec(
            'isolation:smt',
            values=('off',),
            condition='simultaneous multithreading is off',
            example='off',
        ),
    )
    own_reasons = (UNKNOWN, ACTIVE)
    facts_class = SmtFacts
    unknown = UNKNOWN
    # verify() reads no process of a guest.
    needs = frozenset()

    @classmethod
    def options(cls) -> 'Sequence[cfg.Opt]':
        """``[isolation_smt]``."""
        from oslo_config import cfg

        return (
            cfg.StrOpt(
                'state',
                default='/sys/devices/system/cpu/smt/active',
                help='The file in which the kernel says whether SMT is on.',
            ),
        )

    def measure(self, host: sources.Host) -> SmtFacts:
        """The kernel's word."""
        path = host.options(self.name).state
        text = host.read(path).strip()
        if text not in ('0', '1'):
            raise ValueError(f'{path}: wanted 0 or 1, found {text!r}')
        return SmtFacts(off=text == '0')

    def traits(self, facts: SmtFacts) -> frozenset[str]:
        """One trait, where SMT is off."""
        return _OFF if facts.off else frozenset()

    def required_traits(
        self, requirement: requirements.Requirement
    ) -> frozenset[str]:
        """The same trait."""
        return _OFF

    def judge(
        self, requirement: requirements.Requirement, facts: SmtFacts
    ) -> Iterator[reasons.Unmet]:
        """See the base class."""
        if not facts.off:
            yield requirement.unmet(ACTIVE, 'SMT is active')

    def verify(
        self,
        guest: sources.Guest,
        wanted: requirements.Requirements,
        facts: SmtFacts,
        host: sources.Host,
    ) -> Iterator[base.Proof | reasons.Unmet]:
        """SMT is a state of the host, and nothing in the guest shows it.

        The caller measured the facts after the guest was started.
        """
        for requirement in wanted.of(self.name):
            unmet = tuple(self.judge(requirement, facts))
            yield from unmet
            if not unmet:
                yield base.Proof(requirement.key, 'SMT is off')
