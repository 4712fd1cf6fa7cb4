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

"""The measurement of the host by every mechanism.

A mechanism that fails does not affect the other mechanisms.
"""

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import functools
import json
import logging
import time

from nova_isolation.host import bounded_calls
from nova_isolation.host import still_host
from nova_isolation.mechanisms import base
from nova_isolation.mechanisms import registry
from nova_isolation.mechanisms import sources
from nova_isolation.model import evidence as evidences
from nova_isolation.model import facts
from nova_isolation.model import printable
from nova_isolation.model import reasons
from nova_isolation.model import requirements
from nova_isolation.model import sight
from nova_isolation.model import traits

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What the host has measured about itself.

    :ivar document: the facts document
    :ivar time: the time of the measurement, seconds since the epoch
    :ivar earned: name of a mechanism -> the traits that its facts earn
    :ivar sections: name of a mechanism -> its typed facts
    :ivar evidence: name of a mechanism -> what a third party reports about
        the host. Evidence is never in the document, because the document is
        the host's own statement.
    :ivar host: the host as it was then; None: nothing was measured
    :ivar decided: what the facts do not meet, of the requirements for which
        that was asked so far
    """

    document: str
    time: float
    earned: dict[str, frozenset[str]]
    sections: dict[str, object]
    evidence: dict[str, evidences.Evidence] = dataclasses.field(
        default_factory=dict
    )
    host: sources.Host | None = dataclasses.field(
        default=None, compare=False, repr=False
    )
    decided: dict[requirements.Requirements, tuple[reasons.Unmet, ...]] = (
        dataclasses.field(default_factory=dict, compare=False, repr=False)
    )

    @property
    def traits(self) -> frozenset[str]:
        """The traits that the host has earned.

        The trait GUARDED does not depend on the facts: every host that runs
        the driver of this project has it.
        """
        return frozenset({traits.GUARDED}).union(*self.earned.values())

    @property
    def stats(self) -> dict[str, str]:
        """The stats to publish in Nova's compute node."""
        return {
            facts.STAT: self.document,
            facts.TIME_STAT: str(int(self.time)),
        }

    def closed(self, by: Mapping[str, str]) -> 'Measurement':
        """Return the measurement that counts for new guests.

        :param by: name of a mechanism that a running guest violates -> the
            guest and its violation, empty where the facts are published
        :returns: the measurement without the facts and traits of these
            mechanisms; the time is the same
        """
        if not by or not self.document:
            return self
        document = dict(facts.loads(self.document).sections)
        # Unknown facts stay unknown: no guest is the cause of that.
        names = {
            name
            for name in by
            if document.get(name, '') is not None
            and facts.unseen_by(document.get(name)) is None
        }
        for guests in (by, dict.fromkeys(by, '')):
            document |= {name: facts.violated(guests[name]) for name in names}
            try:
                return Measurement(
                    facts.dumps(document),
                    self.time,
                    {n: t for n, t in self.earned.items() if n not in by},
                    {n: s for n, s in self.sections.items() if n not in by},
                    self.evidence,
                    self.host,
                )
            except ValueError:
                # The names of the guests do not fit into the document.
                continue
        return Measurement('', self.time, {}, {})


def measure(
    host: sources.Host,
    mechanisms: registry.Mechanisms,
    calls: bounded_calls.BoundedCalls,
    only: Collection[str] | None = None,
    examine: bool = True,
) -> Measurement:
    """Measure the host.

    The facts of a mechanism that fails are unknown: none of its requirements
    is met and it earns no traits. The same holds for a mechanism whose proofs
    this host could not see: its guests would all be refused. Where the
    document as a whole cannot be written, the document is empty, which counts
    as missing.

    :param host: the host
    :param mechanisms: the mechanisms of this process
    :param calls: limits the time of each mechanism
    :param only: names of mechanisms, where nothing is decided but what these
        prove; the facts of all others are then unknown. None: all
    :param examine: whether the host examines itself: could it see a guest?
        Only where a guest is looked at afterwards this need not be asked
    """
    asked = {
        name: mechanism
        for name, mechanism in sorted(mechanisms.loaded.items())
        if only is None or name in only
    }
    # The time is taken before the measurement, so that facts are never older
    # than their published time.
    now = time.time()
    still = still_host.StillHost(host)
    document: dict[str, object] = {
        name: None
        for name, mechanism in mechanisms.loaded.items()
        if isinstance(mechanism, base.HostMechanism)
    }
    sections: dict[str, object] = {}
    earned_by: dict[str, frozenset[str]] = {}
    evidence: dict[str, evidences.Evidence] = {}
    for name, mechanism in asked.items():
        try:
            observed = calls.call(
                ('measurement', name),
                functools.partial(mechanism.observe, still),
            )
            if observed is None:
                continue
            if observed.evidence is not None:
                evidence[name] = observed.evidence
            typed = mechanism.facts_of({name: observed.section}, evidence)
            earned = _checked(mechanism.traits(typed))
        except (OSError, ValueError, facts.FactsError) as error:
            if isinstance(error, sight.Unseen) and name in document:
                document[name] = facts.unseen(error.reason)
            LOG.warning(
                'Mechanism %(name)s cannot measure this host; flavors that '
                'need %(name)s are refused on this host: %(error)s',
                {'name': name, 'error': printable.one_line(error)},
            )
        except base.FAILURES:
            # The mechanism may be of another package, and the periodic task
            # must continue.
            LOG.exception(
                'Mechanism %(name)s raised an error while it measured this '
                'host; flavors that need %(name)s are refused on this host',
                {'name': name},
            )
        else:
            if name in document:
                document[name] = observed.section
            sections[name] = typed
            earned_by[name] = earned
    # After the questions to libvirt, which may have started its daemon.
    unseen = _unseen(host, asked, calls) if examine else {}
    for name, cause in unseen.items():
        document[name] = facts.unseen(cause)
        sections.pop(name, None)
    try:
        text = _fit(document)
    except ValueError as error:
        LOG.error('Host publishes no facts: %s', error)
        return Measurement('', now, {}, {})
    kept = {
        n: s for n, s in sections.items() if document.get(n, s) is not None
    }
    return Measurement(
        text, now, {n: earned_by[n] for n in kept}, kept, evidence, still
    )


def _unseen(
    host: sources.Host,
    mechanisms: Mapping[str, registry.AnyMechanism],
    calls: bounded_calls.BoundedCalls,
) -> dict[str, reasons.Reason]:
    """Return the mechanisms by which this host could not verify a guest.

    :returns: name of a mechanism -> why it could not
    """
    needs = {
        name: mechanism.needs
        for name, mechanism in mechanisms.items()
        if isinstance(mechanism, base.HostMechanism) and mechanism.needs
    }
    if not needs:
        return {}
    try:
        unseen = calls.call(('measurement', 'self-examination'), host.unseen)
    except base.FAILURES:
        LOG.exception(
            'This host could not examine whether it can see the processes of '
            'its guests; flavors that need this are refused on this host'
        )
        unseen = dict.fromkeys(sight.Sight, reasons.UNEXAMINED)
    found = {
        name: [
            unseen[thing]
            for thing in sight.Sight
            if thing in wanted & set(unseen)
        ]
        for name, wanted in needs.items()
    }
    return {name: causes[0] for name, causes in found.items() if causes}


def _checked(names: Iterable[str]) -> frozenset[str]:
    """Return the traits, if they are valid traits of this project.

    The driver removes only traits with the project's prefix.

    :raises ValueError: placement does not accept a trait, or a trait does not
        begin with the project's prefix
    """
    result = frozenset(names)
    for name in result:
        if not traits.PATTERN.fullmatch(name):
            raise ValueError(
                f'{name!r} is not a trait that begins with {traits.PREFIX}'
            )
    return result


def _fit(document: dict[str, object]) -> str:
    """Return the text of a facts document.

    Where the document is too large, the facts of mechanisms of other packages
    are left out, the largest first. So another package can only spoil its own
    mechanisms.

    :param document: the sections; changed in place
    :raises ValueError: the document of the built-in mechanisms alone is too
        large
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
                'Facts of mechanism %(name)s do not fit into %(bytes)d bytes '
                'and were dropped; flavors that need %(name)s are refused on '
                'this host: %(error)s',
                {'name': name, 'bytes': facts.MAX_BYTES, 'error': error},
            )
