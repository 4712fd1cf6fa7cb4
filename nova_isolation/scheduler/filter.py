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

"""The scheduler's filter: drop hosts that do not meet the flavor."""

import collections
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import time
import typing

import nova.conf
from nova.scheduler import filters
from oslo_log import log as logging

from nova_isolation import opts
from nova_isolation.attestation import service
from nova_isolation.decision import published
from nova_isolation.mechanisms import registry
from nova_isolation.model import evidence
from nova_isolation.model import printable
from nova_isolation.model import requirements
from nova_isolation.scheduler import prefilter
from nova_isolation.scheduler import worker

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

#: Flavors whose decisions are kept from request to request.
_MAX_FLAVORS = 256

prefilter.install()
worker.install()


class IsolationFilter(filters.BaseHostFilter):
    """Keeps the hosts that offer what the flavor's extra specs ask for.

    The filter parses the extra specs once for each request and decides once
    for all hosts that are alike. It does no I/O and takes no lock. For an
    untagged flavor it only looks for its own extra specs.
    """

    # A rebuild stays on its host, which may have changed since.
    RUN_ON_REBUILD = True

    def __init__(self) -> None:
        super().__init__()
        self.options = opts.register(CONF)
        self.mechanisms = registry.get()
        self.attestation = service.make(CONF)
        worker.start_later(self.attestation)
        self._deciders: dict[
            requirements.Requirements, published.PublishedDecision
        ] = {}

    def filter_all(
        self, filter_obj_list: Iterable[typing.Any], spec_obj: typing.Any
    ) -> Iterable[typing.Any]:
        """See nova.filters.BaseFilter."""
        extra_specs = spec_obj.flavor.extra_specs
        if not requirements.is_tagged(extra_specs):
            self._warn_of_near_misses(extra_specs)
            return filter_obj_list
        wanted = requirements.parse(extra_specs, self.mechanisms.vocabulary)
        #: the reason codes of a host -> how many hosts have these
        refused: collections.Counter[tuple[str, ...]] = collections.Counter()
        hosts = list(filter_obj_list)
        accepted = list(self._accepted(hosts, wanted, spec_obj, refused))
        audit = self.options.mode == 'audit'
        LOG.info(
            'Isolation%(mode)s: %(accepted)d of %(all)d hosts meet '
            '%(wanted)s for instance %(uuid)s; refused by reason: '
            '%(refused)s',
            {
                'mode': ' (audit, nothing is refused)' if audit else '',
                'accepted': len(accepted),
                'all': len(hosts),
                'wanted': {
                    k: v
                    for k, v in extra_specs.items()
                    if requirements.is_tagged({k: v})
                },
                'uuid': spec_obj.instance_uuid,
                'refused': _by_code(refused),
            },
        )
        return hosts if audit else accepted

    def _warn_of_near_misses(
        self, extra_specs: Mapping[str, str] | None
    ) -> None:
        for key in extra_specs or ():
            meant = self.mechanisms.vocabulary.near_miss(key)
            if meant is not None:
                LOG.warning(
                    'The flavor of this request has %(key)s, which is no '
                    'extra spec of nova-isolation, so nothing is enforced. '
                    'If %(meant)s is meant, set that and unset %(key)s.',
                    {'key': printable.one_line(key), 'meant': meant},
                )

    def host_passes(
        self, host_state: typing.Any, filter_properties: typing.Any
    ) -> bool:
        """Decide about one host, for callers that ask host by host."""
        return bool(list(self.filter_all([host_state], filter_properties)))

    def _decider(
        self, wanted: requirements.Requirements
    ) -> published.PublishedDecision:
        freshness = opts.freshness(self.options)
        enforces = self.options.mode != 'audit'
        decider = self._deciders.get(wanted)
        # The options may have been reloaded.
        if (
            decider is None
            or decider.freshness != freshness
            or decider.enforces != enforces
        ):
            decider = published.PublishedDecision(
                wanted, freshness, self.mechanisms, enforces=enforces
            )
            if len(self._deciders) >= _MAX_FLAVORS:
                self._deciders = {}
            self._deciders[wanted] = decider
        return decider

    def _accepted(
        self,
        hosts: Iterable[typing.Any],
        wanted: requirements.Requirements,
        spec_obj: typing.Any,
        refused: collections.Counter[tuple[str, ...]],
    ) -> Iterator[typing.Any]:
        decider = self._decider(wanted)
        needs_statements = decider.needs_statements
        statements = self.attestation.statements
        now = time.time()
        confirmed = self.attestation.clock(now)
        why = decider.at(now, confirmed)
        # The words of a refusal are made for the log only.
        debug = LOG.isEnabledFor(logging.DEBUG)
        for host in hosts:
            # A node that has not reported yet has no stats.
            stats = getattr(host, 'stats', None)
            said = (
                statements(host.host, host.uuid)
                if needs_statements
                else evidence.NO_EVIDENCE
            )
            codes = why(stats, said)
            if not codes:
                yield host
                continue
            refused[codes] += 1
            if debug:
                LOG.debug(
                    'Isolation refuses host %(host)s for instance %(uuid)s: '
                    '%(answer)s',
                    {
                        'host': getattr(host, 'host', host),
                        'uuid': spec_obj.instance_uuid,
                        'answer': decider.decide(stats, now, said, confirmed),
                    },
                )


def _by_code(
    refused: Mapping[tuple[str, ...], int],
) -> dict[str, int]:
    """Return reason code -> how many hosts were refused with it."""
    counts: collections.Counter[str] = collections.Counter()
    for codes, hosts in refused.items():
        counts.update(dict.fromkeys(codes, hosts))
    return dict(counts)
