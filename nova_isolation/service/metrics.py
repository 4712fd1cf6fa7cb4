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

"""Metrics of the cloud and of the service, for Prometheus.

They are served without authentication, so on a listener of their own.
"""

import collections
from collections.abc import Iterable
from collections.abc import Iterator
import threading
import time
import typing

import anyio
from anyio import to_thread
import prometheus_client
from prometheus_client import core
from prometheus_client import exposition
from prometheus_client import registry as prometheus_registry
from starlette import applications
from starlette import requests
from starlette import responses
from starlette import routing

from nova_isolation.decision import published
from nova_isolation.model import facts
from nova_isolation.model import requirements
from nova_isolation.report import audit
from nova_isolation.report import explanation
from nova_isolation.report import picture
from nova_isolation.report import server as report_server
from nova_isolation.report import servers
from nova_isolation.service import endpoint
from nova_isolation.service import picture_keeper

#: What is known of the servers of tagged flavors.
VERIFICATIONS = ('verified', 'refused', 'violated', 'unknown')

_PREFIX = 'nova_isolation_'

#: Seconds for which one answer is kept: scrapes are no decisions.
_KEPT = 5.0

#: The limits of the buckets of the latencies, in seconds.
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2.5, 10, 60)


class Requests:
    """How long the answers of the service took."""

    def __init__(self) -> None:
        self.registry = prometheus_client.CollectorRegistry()
        self._seconds = prometheus_client.Histogram(
            _PREFIX + 'request_seconds',
            'Time from a request of the API to its answer.',
            ('method', 'path', 'status'),
            buckets=_BUCKETS,
            registry=self.registry,
        )

    def observe(
        self, method: str, path: str, status: int, seconds: float
    ) -> None:
        """Count one answer.

        :param method: of the request
        :param path: of the call, with its parameters in braces: what clients
            write is no label
        :param status: of the answer
        :param seconds: how long it took
        """
        self._seconds.labels(method, path, str(status)).observe(seconds)


class Cloud(prometheus_registry.Collector):
    """What is known of the cloud, at the time of a scrape."""

    def __init__(self, parts: endpoint.Parts) -> None:
        """:param parts: the parts of the service"""
        self._parts = parts
        self._deciders: dict[
            frozenset[tuple[str, str]], published.PublishedDecision
        ] = {}

    def collect(self) -> Iterator[core.Metric]:
        """See prometheus_client. For one thread at a time."""
        readable = core.GaugeMetricFamily(
            _PREFIX + 'cloud_readable',
            "Whether Nova's databases were read lately. If not, nothing else "
            'is reported about the cloud.',
        )
        try:
            seen, age = self._parts.keeper.current()
        except picture_keeper.CloudUnread:
            readable.add_metric((), 0)
            yield readable
            return
        readable.add_metric((), 1)
        yield readable
        yield _one('picture_age_seconds', 'Age of what is reported.', age)
        yield _one(
            'unread_cells',
            'Cells whose database could not be read.',
            len(seen.unread),
        )
        now = self._parts.clock()
        moment = explanation.Moment(
            now,
            self._parts.attestation.clock(now),
            self._parts.attestation.statements,
        )
        yield from self._hosts(seen, moment)
        yield _servers(seen)
        yield from self._flavors(seen, moment)
        yield self._findings(seen, moment)

    def _hosts(
        self, seen: picture.Picture, moment: explanation.Moment
    ) -> Iterator[core.Metric]:
        rules = self._parts.rules
        counts = collections.Counter(
            servers.standing(node, rules, moment.now) for node in seen.nodes
        )
        yield _many(
            'hosts',
            'Compute hosts by their standing.',
            'standing',
            ((one, counts[one]) for one in servers.STANDINGS),
        )
        yield _many(
            'host_facts_age_seconds',
            'Age of the facts of a host.',
            'host',
            (
                (node.host, age)
                for node in seen.nodes
                if (age := facts.age(node.stats, moment.now)) is not None
            ),
        )
        confirmed = (
            moment.now if moment.confirmed is None else moment.confirmed
        )
        yield _many(
            'host_attestation_age_seconds',
            'Time since the verifier last found a host good.',
            'host',
            (
                (node.host, age)
                for node in seen.nodes
                for one in moment.statements(node.host, node.uuid).values()
                if (age := one.at(confirmed).age) is not None
            ),
        )

    def _flavors(
        self, seen: picture.Picture, moment: explanation.Moment
    ) -> Iterator[core.Metric]:
        hosts = core.GaugeMetricFamily(
            _PREFIX + 'flavor_hosts',
            'Hosts that isolation accepts or refuses for a tagged flavor, and '
            'those that could run its servers now.',
            labels=('flavor', 'answer'),
        )
        codes = core.GaugeMetricFamily(
            _PREFIX + 'flavor_refused_hosts',
            'Hosts that isolation refuses for a tagged flavor, by reason '
            'code.',
            labels=('flavor', 'code'),
        )
        kept = {}
        for flavor in seen.flavors:
            if not requirements.is_tagged(flavor.extra_specs):
                continue
            key = frozenset(flavor.extra_specs.items())
            decider = self._deciders.get(key) or self._parts.rules.decider(
                flavor.extra_specs
            )
            kept[key] = decider
            counts = explanation.explain(
                flavor.name,
                flavor.extra_specs,
                seen.nodes,
                self._parts.rules,
                moment,
                decider,
            ).counts
            for answer in ('accepted', 'usable', 'refused'):
                hosts.add_metric(
                    (flavor.name, answer), typing.cast(int, counts[answer])
                )
            by_code = typing.cast(dict[str, int], counts['by_code'])
            for code, count in by_code.items():
                codes.add_metric((flavor.name, code), count)
        self._deciders = kept
        yield hosts
        yield codes

    def _findings(
        self, seen: picture.Picture, moment: explanation.Moment
    ) -> core.Metric:
        found = collections.Counter(
            (one.kind.code, one.kind.severity)
            for one in audit.findings(
                audit.Cloud(seen, self._parts.rules, moment, self._parts.said)
            )
        )
        metric = core.GaugeMetricFamily(
            _PREFIX + 'audit_findings',
            'Findings of the audit.',
            labels=('code', 'severity'),
        )
        for labels, count in sorted(found.items()):
            metric.add_metric(labels, count)
        return metric


def _servers(seen: picture.Picture) -> core.Metric:
    counts = collections.Counter(map(_verification, seen.servers))
    return _many(
        'servers',
        'Servers of tagged flavors by what the newest verification found.',
        'verification',
        ((one, counts[one]) for one in VERIFICATIONS),
    )


def _verification(server: report_server.Server) -> str:
    """Return one of :data:`VERIFICATIONS`."""
    newest = server.newest
    if newest is None:
        return 'unknown'
    if newest.succeeded:
        return 'verified'
    return 'violated' if server.violates else 'refused'


def _one(name: str, text: str, value: float) -> core.Metric:
    return core.GaugeMetricFamily(_PREFIX + name, text, value)


def _many(
    name: str, text: str, label: str, values: Iterable[tuple[str, float]]
) -> core.Metric:
    metric = core.GaugeMetricFamily(_PREFIX + name, text, labels=(label,))
    # Several compute nodes may have one host; the worst counts.
    worst: dict[str, float] = {}
    for key, value in values:
        worst[key] = max(value, worst.get(key, value))
    for key, value in worst.items():
        metric.add_metric((key,), value)
    return metric


class _Scrapes:
    """Makes the text that is answered."""

    def __init__(self, parts: endpoint.Parts, answered: Requests) -> None:
        self._registry = prometheus_client.CollectorRegistry()
        self._registry.register(Cloud(parts))
        self._answered = answered
        self._lock = threading.Lock()
        self._kept: tuple[float, bytes] | None = None

    def text(self) -> bytes:
        """Return the metrics, a few seconds old at most."""
        with self._lock:
            now = time.monotonic()
            if self._kept is None or now - self._kept[0] >= _KEPT:
                self._kept = (
                    now,
                    exposition.generate_latest(self._registry),
                )
            return self._kept[1] + exposition.generate_latest(
                self._answered.registry
            )


def make(parts: endpoint.Parts, answered: Requests) -> applications.Starlette:
    """Make the application of the listener for metrics.

    :param parts: the parts of the service
    :param answered: how long its answers took
    """
    scrapes = _Scrapes(parts, answered)
    places = anyio.CapacityLimiter(1)

    async def metrics(request: requests.Request) -> responses.Response:
        text = await to_thread.run_sync(scrapes.text, limiter=places)
        return responses.Response(
            text, headers={'Content-Type': exposition.CONTENT_TYPE_LATEST}
        )

    return applications.Starlette(
        routes=[routing.Route('/metrics', metrics, methods=['GET'])]
    )
