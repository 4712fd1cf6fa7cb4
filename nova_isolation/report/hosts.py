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
"""What each host offers and refuses, with the facts that say so."""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import datetime
import json

from nova_isolation.decision import cache
from nova_isolation.decision import published
from nova_isolation.mechanisms import base
from nova_isolation.model import facts
from nova_isolation.model import reasons
from nova_isolation.model import requirements
from nova_isolation.model import traits
from nova_isolation.model import vocabulary
from nova_isolation.report import explanation
from nova_isolation.report import picture
from nova_isolation.report import server as servers

#: How many kinds of hosts are kept between two calls.
_MAX_KEPT = 4096

#: Extra spec -> words that a flavor may ask for.
Candidates = Mapping[str, tuple[str, ...]]

#: Extra spec -> words that are met; extra spec -> a refusal.
_Answers = tuple[dict[str, list[str]], dict[str, dict[str, str]]]


def candidates(
    known: vocabulary.Vocabulary, flavors: Iterable[picture.Flavor]
) -> Candidates:
    """Return for each extra spec the words about which hosts are asked.

    :param known: the vocabulary
    :param flavors: the flavors of the cloud. Where an extra spec allows any
        word of a pattern, the words that flavors ask for count, beside the
        example of the vocabulary.
    """
    used: dict[str, set[str]] = {}
    for flavor in flavors:
        for key in flavor.extra_specs.keys() & known.rows.keys():
            try:
                words = known.rows[key].parse(flavor.extra_specs[key])
            except ValueError:
                continue
            used.setdefault(key, set()).update(words)
    return {
        key: row.values
        or tuple(sorted({*row.parse(row.example), *used.get(key, ())}))
        for key, row in known.rows.items()
    }


class HostReports:
    """Reports about hosts, with what alike hosts share made once.

    Not for several threads at once.
    """

    def __init__(
        self,
        rules: explanation.Rules,
        wanted: Candidates,
        tagged: Iterable[servers.Server] = (),
    ) -> None:
        """:param rules: by which the service decides that is asked

        :param wanted: see :func:`candidates`
        :param tagged: the servers of tagged flavors
        """
        self._rules = rules
        #: host -> its violating servers, with the events that say so
        self._violating: dict[
            str, list[tuple[servers.Server, servers.Event]]
        ] = {}
        for one in tagged:
            since = one.violates_since
            if since is not None:
                self._violating.setdefault(one.host, []).append((one, since))
        self._own: list[tuple[str, str, published.PublishedDecision]] = []
        self._stated: list[tuple[str, str, published.PublishedDecision]] = []
        for key, words in wanted.items():
            row = rules.mechanisms.vocabulary.rows[key]
            for word in words:
                decider = rules.decider({**dict(row.requires), key: word})
                by = self._stated if decider.needs_statements else self._own
                by.append((key, word, decider))
        self._kept: dict[object, _Answers] = {}

    def of(
        self,
        node: picture.ComputeNode,
        moment: explanation.Moment,
        with_facts: bool = True,
    ) -> dict[str, object]:
        """Return the report about one host, as JSON values.

        :param node: the compute node
        :param moment: the time of the report
        :param with_facts: whether the facts themselves are included
        """
        document = published.document(node.stats)
        measured_at = _measured_at(node.stats)
        age = facts.age(node.stats, moment.now)
        fresh = self._rules.freshness.accepts(age)
        said = moment.statements(node.host, node.uuid)
        confirmed = (
            moment.now if moment.confirmed is None else (moment.confirmed)
        )
        mode = published.mode(node.stats)
        sections = _sections(document)
        offers, refuses = self._answers(node, moment, fresh, age)
        result = {
            'host': node.host,
            'uuid': node.uuid,
            'cell': node.cell,
            'state': node.state,
            'guarded': bool(document),
            'mode': mode if isinstance(mode, str) else None,
            'schema': _schema(document),
            'measured_at': measured_at,
            'age_seconds': age if age is None else round(age, 1),
            'fresh': fresh,
            'traits': sorted(self._traits(sections, said, confirmed)),
            'offers': offers,
            'refuses': refuses,
            'attestation': self._attestation(said, confirmed),
            'violations': list(self._violations(node.host, sections)),
        }
        if with_facts:
            result['facts'] = dict(sections)
        return result

    def _violations(
        self, host: str, sections: Mapping[str, object]
    ) -> Iterator[dict[str, object]]:
        """Return which guests violate what, as JSON values.

        The facts name no guests, so those are told whose newest event says
        so. None is told where no event does, for example while the host
        cannot write to the database.
        """
        for name, section in sorted(sections.items()):
            if facts.violated_by(section) is None:
                continue
            found = [
                (one.uuid, since.at or None)
                for one, since in self._violating.get(host, ())
                if name in self._violated_by(one, since)
            ]
            unknown: list[tuple[str | None, str | None]] = [(None, None)]
            for server, at in sorted(found) or unknown:
                yield {
                    'server': server,
                    'code': reasons.HOST_VIOLATED.code,
                    'since': at,
                    'mechanism': name,
                }

    def _violated_by(
        self, server: servers.Server, event: servers.Event
    ) -> set[str]:
        """Return the mechanisms that a guest violates.

        Reason codes of a mechanism have its name. Other codes, such as that
        the verification has failed, may be about all that the server asks
        for.
        """
        asked = {
            item.mechanism
            for item in requirements.parse(
                server.extra_specs, self._rules.mechanisms.vocabulary
            ).items
        }
        named = {code.split('.')[1] for code in event.codes}
        return named if named and named <= asked else asked

    def _answers(
        self,
        node: picture.ComputeNode,
        moment: explanation.Moment,
        fresh: bool,
        age: float | None,
    ) -> _Answers:
        """Return which words the host meets, and one refusal for each key."""
        # What a refusal of stale facts says depends on their age in seconds.
        key = (
            published.document(node.stats),
            published.mode(node.stats),
            fresh or age is None or round(age),
            age is None,
        )
        known = self._kept.get(key)
        if known is None:
            known = self._judge(self._own, node, moment)
            if len(self._kept) >= _MAX_KEPT:
                self._kept.clear()
            self._kept[key] = known
        offers, refuses = known
        if self._stated:
            more = self._judge(self._stated, node, moment)
            offers, refuses = offers | more[0], refuses | more[1]
        return offers, refuses

    def _judge(
        self,
        deciders: Iterable[tuple[str, str, published.PublishedDecision]],
        node: picture.ComputeNode,
        moment: explanation.Moment,
    ) -> _Answers:
        offers: dict[str, list[str]] = {}
        refuses: dict[str, dict[str, str]] = {}
        for key, word, decider in deciders:
            answer = moment.decide(decider, node)
            # What the extra spec requires beside it has a row of its own.
            unmet = [u for u in answer.unmet if u.key in ('', key)]
            if not unmet:
                offers.setdefault(key, []).append(word)
            elif key not in refuses:
                refuses[key] = {
                    'value': word,
                    **explanation.json_of_unmet(
                        unmet[0], self._rules.mechanisms.reasons
                    ),
                }
        return offers, refuses

    def _traits(
        self,
        sections: Mapping[str, object],
        said: cache.Statements,
        confirmed: float,
    ) -> Iterator[str]:
        """Return the traits that the host's facts and statements earn."""
        if sections:
            yield traits.GUARDED
        stated = {name: one.at(confirmed) for name, one in said.items()}
        for mechanism in self._rules.mechanisms.loaded.values():
            if facts.violated_by(sections.get(mechanism.name)) is not None:
                continue
            try:
                yield from mechanism.traits(
                    mechanism.facts_of(sections, stated)
                )
            except base.FAILURES:
                # Facts that are unknown, or a mechanism of another package:
                # no trait is earned, and the refusals say why.
                continue

    def _attestation(
        self, said: cache.Statements, confirmed: float
    ) -> dict[str, object] | None:
        """Return what third parties state about the host; None: nothing."""
        for name, one in sorted(said.items()):
            now = one.at(confirmed)
            return {
                'mechanism': name,
                'standing': self._standing(name, {name: now}),
                'age_seconds': _rounded(now.age),
                'report_age_seconds': _rounded(now.report_age),
                'agent': one.agent,
                'verifier': one.verifier,
                'trouble': one.trouble,
            }
        return None

    def _standing(self, name: str, stated: cache.Statements) -> str:
        """Return ``good``, or the last word of the reason code why not.

        The mechanism alone is asked, because a decision about the host ends
        at facts that are missing.
        """
        mechanism = self._rules.mechanisms.loaded.get(name)
        plain = vocabulary.NAMESPACE + name
        row = self._rules.mechanisms.vocabulary.rows.get(plain)
        if mechanism is None or row is None:
            return 'unavailable'
        wanted = requirements.Requirement(plain, name, row.parse(row.example))
        try:
            found = mechanism.facts_of({}, stated)
            codes = [one.code for one in mechanism.judge(wanted, found)]
        except facts.FactsError as error:
            codes = [error.reason.code]
        except base.FAILURES:
            codes = [reasons.MECHANISM_FAILED.code]
        return codes[0].rpartition('.')[2] if codes else 'good'


def _rounded(age: float | None) -> float | None:
    return None if age is None else round(age, 1)


def _measured_at(stats: Mapping[str, object]) -> str | None:
    """Return the time of the measurement, ISO 8601 in UTC."""
    age = facts.age(stats, 0.0)
    if age is None:
        return None
    try:
        moment = datetime.datetime.fromtimestamp(-age, datetime.timezone.utc)
    except (OverflowError, ValueError, OSError):
        return None
    return moment.strftime('%Y-%m-%dT%H:%M:%SZ')


def _sections(document: object) -> Mapping[str, object]:
    """Return the sections of a document; nothing where it cannot be read."""
    try:
        return facts.loads(document).sections
    except facts.FactsError:
        return {}


def _schema(document: object) -> int | None:
    """Return the schema of a document, a newer one too; None: unknown."""
    if not isinstance(document, str) or len(document) > facts.MAX_BYTES:
        return None
    try:
        version = json.loads(document)['v']
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return version if type(version) is int else None
