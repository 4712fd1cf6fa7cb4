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

"""Measuring the host: every mechanism is asked, none can break the others."""

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import json
import logging
import time

from nova_isolation.mechanisms import base
from nova_isolation.mechanisms import registry
from nova_isolation.model import evidence as evidences
from nova_isolation.model import facts
from nova_isolation.model import traits

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What the host measured of itself.

    :ivar document: the facts
    :ivar time: seconds since the epoch
    :ivar earned: name of a mechanism -> the traits that its facts earn
    :ivar sections: name of a mechanism -> its typed facts
    :ivar evidence: name of a mechanism -> what a third party says of the
        host; never in the document, which is the host's own word
    """

    document: str
    time: float
    earned: dict[str, frozenset[str]]
    sections: dict[str, object]
    evidence: dict[str, evidences.Evidence] = dataclasses.field(
        default_factory=dict
    )

    @property
    def traits(self) -> frozenset[str]:
        """What the facts earn the host.

        That the host is guarded is not a matter of facts: it is there
        whenever our driver is.
        """
        return frozenset({traits.GUARDED}).union(*self.earned.values())

    @property
    def stats(self) -> dict[str, str]:
        """For the stats of Nova's compute node."""
        return {
            facts.STAT: self.document,
            facts.TIME_STAT: str(int(self.time)),
        }

    def closed(self, by: Mapping[str, str]) -> 'Measurement':
        """What is left for new guests, where running guests are violated.

        :param by: name of a mechanism that a guest violates -> whose
            violation it is, '' where the facts are to be published
        :returns: the same time, without the facts and traits of those
        """
        if not by or not self.document:
            return self
        document = dict(facts.loads(self.document).sections)
        # What is unknown stays so: that is the host's own fault.
        names = {n for n in by if document.get(n, '') is not None}
        for told in (by, dict.fromkeys(by, '')):
            document |= {name: facts.violated(told[name]) for name in names}
            try:
                return Measurement(
                    facts.dumps(document),
                    self.time,
                    {n: t for n, t in self.earned.items() if n not in by},
                    {n: s for n, s in self.sections.items() if n not in by},
                    self.evidence,
                )
            except ValueError:
                # The names took more room than the facts had: leave them out.
                continue
        return Measurement('', self.time, {}, {})


def measure(host: base.Host, mechanisms: registry.Mechanisms) -> Measurement:
    """Measure the host.

    A mechanism that fails has unknown facts: none of its requirements is
    met and it earns no traits. Where the facts as a whole cannot be written,
    the document is empty, which counts as missing.
    """
    # Taken before the measurement: facts are never younger than they claim.
    now = time.time()
    document: dict[str, object] = {
        name: None
        for name, mechanism in mechanisms.loaded.items()
        if isinstance(mechanism, base.HostMechanism)
    }
    sections: dict[str, object] = {}
    earned_by: dict[str, frozenset[str]] = {}
    evidence: dict[str, evidences.Evidence] = {}
    for name, mechanism in sorted(mechanisms.loaded.items()):
        try:
            observed = mechanism.observe(host)
            if observed is None:
                continue
            if observed.evidence is not None:
                evidence[name] = observed.evidence
            typed = mechanism.facts_of({name: observed.section}, evidence)
            earned = _checked(mechanism.traits(typed))
        except (OSError, ValueError, facts.FactsError) as error:
            LOG.warning(
                'The isolation mechanism %(name)s cannot measure this host, '
                'so flavors that need it are refused here: %(error)s',
                {'name': name, 'error': error},
            )
        except base.FAILURES:
            # A mechanism of any package: the periodic task must go on.
            LOG.exception(
                'The isolation mechanism %s failed; flavors that need it '
                'are refused here',
                name,
            )
        else:
            if name in document:
                document[name] = observed.section
            sections[name] = typed
            earned_by[name] = earned
    try:
        text = _fit(document)
    except ValueError as error:
        LOG.error('Host publishes no facts: %s', error)
        return Measurement('', now, {}, {})
    kept = {
        n: s for n, s in sections.items() if document.get(n, s) is not None
    }
    return Measurement(
        text, now, {n: earned_by[n] for n in kept}, kept, evidence
    )


def _checked(names: Iterable[str]) -> frozenset[str]:
    """The traits, if placement accepts them and this project can remove them.

    :raises ValueError: one of them does not begin with the project's prefix
    """
    result = frozenset(names)
    for name in result:
        if not traits.PATTERN.fullmatch(name):
            raise ValueError(f'{name!r} is not a trait of isolation')
    return result


def _fit(document: dict[str, object]) -> str:
    """The text of a document.

    Where the document is too large, the parts of other packages are left
    out, the largest first, so that another package spoils only its own.

    :param document: changed in place
    :raises ValueError: it is too large all the same
    """
    foreign = sorted(
        (name for name in document if name not in registry.BUILT_IN),
        key=lambda name: len(json.dumps(document[name])),
    )
    while True:
        try:
            return facts.dumps(document)
        except ValueError as error:
            if not foreign:
                raise
            name = foreign.pop()
            document[name] = None
            LOG.error(
                'Facts of the isolation mechanism %(name)s do not fit into '
                '%(bytes)d bytes and were dropped; flavors that need '
                '%(name)s are refused on this host: %(error)s',
                {'name': name, 'bytes': facts.MAX_BYTES, 'error': error},
            )
