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
                # It took more room than the facts had; then without names.
                continue
        return Measurement('', self.time, {}, {})


def measure(host: base.Host, mechanisms: registry.Mechanisms) -> Measurement:
    """Measure the host.

    A mechanism that fails has unknown facts: none of its requirements is
    met and it earns no traits. Where the facts as a whole cannot be written
    the document is empty, which counts as missing.
    """
    # The time before: facts are never younger than they claim to be.
    now = time.time()
    document: dict[str, object] = {}
    sections: dict[str, object] = {}
    earned_by: dict[str, frozenset[str]] = {}
    evidence: dict[str, evidences.Evidence] = {}
    for name, mechanism in sorted(mechanisms.loaded.items()):
        by_host = mechanism.source is base.Source.HOST
        if by_host:
            document[name] = None
        try:
            if by_host:
                # Through the text and back: what the scheduler will read.
                text = facts.dumps({name: mechanism.measure(host)})
                section = facts.loads(text).sections[name]
            else:
                said = host.evidence(name)
                if said is None:
                    continue
                evidence[name] = said
                section = said
            typed = mechanism.read(section)
            earned = _checked(mechanism.traits(typed))
        except (OSError, ValueError, facts.FactsError) as error:
            LOG.warning(
                'The isolation mechanism %(name)s cannot measure this host, '
                'so flavors that need it are refused here: %(error)s',
                {'name': name, 'error': error},
            )
        except base.FAILURES:
            # Anybody's mechanism; the periodic task must live on.
            LOG.exception(
                'The isolation mechanism %s failed; flavors that need it '
                'are refused here',
                name,
            )
        else:
            if by_host:
                document[name] = section
            sections[name] = typed
            earned_by[name] = earned
    try:
        text = _fit(document)
    except ValueError as error:
        LOG.error('This host publishes no facts: %s', error)
        return Measurement('', now, {}, {})
    kept = {
        n: s for n, s in sections.items() if document.get(n, s) is not None
    }
    return Measurement(
        text, now, {n: earned_by[n] for n in kept}, kept, evidence
    )


def _checked(names: Iterable[str]) -> frozenset[str]:
    """The traits, if placement will take them and we can remove them.

    :raises ValueError: one of them is not of ours
    """
    result = frozenset(names)
    for name in result:
        if not traits.PATTERN.fullmatch(name):
            raise ValueError(f'{name!r} is no trait of isolation')
    return result


def _fit(document: dict[str, object]) -> str:
    """The text of a document; where it is too large, without the sections of
    other packages, the largest first, so that those only spoil their own.

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
                'The facts of the isolation mechanism %(name)s find no room, '
                'so flavors that need it are refused here: %(error)s',
                {'name': name, 'error': error},
            )
