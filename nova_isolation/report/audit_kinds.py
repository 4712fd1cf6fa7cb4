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

"""The kinds of findings of an audit. Their codes are stable, as reason codes.

A code reads ``isolation.audit.<what>``. It never gets another meaning.
"""

from collections.abc import Mapping
import dataclasses
import types

ERROR, WARNING = 'error', 'warning'


@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind of findings.

    :ivar code: the stable identifier
    :ivar severity: :data:`ERROR`: a promise of a flavor is not kept, or may
        not be kept, now; :data:`WARNING`: something is not known, or tagged
        servers are refused that could run
    :ivar meaning: what is wrong, in one sentence
    :ivar remedy: what the admin can do
    """

    code: str
    severity: str
    meaning: str
    remedy: str


SERVER_UNGUARDED = Kind(
    'isolation.audit.server_unguarded',
    ERROR,
    'A server of a tagged flavor is on a host that publishes no facts: '
    'nothing on that host enforces what the flavor asks for.',
    'Migrate the server to a guarded host, or run nova-compute on its host '
    'with compute_driver = isolation.IsolationDriver.',
)
SERVER_AUDITED = Kind(
    'isolation.audit.server_audited',
    ERROR,
    'A server of a tagged flavor is on a host in audit mode: that host runs '
    'it whatever it finds.',
    'Set [isolation] mode = enforce on the host and restart its '
    'nova-compute, or migrate the server.',
)
SERVER_VIOLATES = Kind(
    'isolation.audit.server_violates',
    ERROR,
    'The last verification of a running guest found that the guest is not '
    'confined as its flavor asks.',
    'The detail has the reason codes. Fix the host, then hard reboot or '
    'migrate the server.',
)
FLAVOR_MISTYPED = Kind(
    'isolation.audit.flavor_mistyped',
    ERROR,
    'A flavor has a key that looks like an extra spec of isolation and is '
    'none, so nothing is enforced for it.',
    'Set the extra spec that the detail names, and unset the key.',
)
FLAVOR_INVALID = Kind(
    'isolation.audit.flavor_invalid',
    WARNING,
    'A flavor has extra specs of isolation that are not valid, so every host '
    'refuses its servers.',
    'Correct the extra spec that the detail names. Set extra specs with '
    'microversion 2.86 or later, which validates them.',
)
HOST_AUDITS = Kind(
    'isolation.audit.host_audits',
    WARNING,
    'A guarded host publishes no mode, or that it audits: it would run a '
    'guest whatever it finds. A scheduler that enforces does not use it for '
    'tagged flavors.',
    'Set [isolation] mode = enforce on the host and restart its nova-compute.',
)
HOST_VIOLATED = Kind(
    'isolation.audit.host_violated',
    ERROR,
    'A guest that runs on the host is not confined as its flavor asks, so '
    'the host takes no new guest that needs the same mechanism.',
    'Look for isolation_reverify among the events of the servers of the '
    'host. Fix, hard reboot or migrate the guest.',
)
HOST_SCHEMA = Kind(
    'isolation.audit.host_schema',
    WARNING,
    'A host publishes facts of another schema than this release reads, or '
    'facts that are malformed, so it is refused for tagged flavors.',
    'Install one release of nova-isolation everywhere: the controllers '
    'first, then the compute hosts.',
)
HOST_STALE = Kind(
    'isolation.audit.host_stale',
    WARNING,
    'The facts of a host that Nova takes for alive are too old, or are dated '
    'in the future, so it is refused for tagged flavors.',
    'Look into the log of its nova-compute, and synchronise the clocks.',
)
TRAITS_STALE = Kind(
    'isolation.audit.traits_stale',
    ERROR,
    'Placement holds traits of isolation for a host that does not earn them: '
    'nothing removes the traits of a host that runs another driver.',
    'Remove these traits from the resource provider (openstack resource '
    'provider trait list/set), or run the driver of nova-isolation there.',
)
FILTER_DISABLED = Kind(
    'isolation.audit.filter_disabled',
    ERROR,
    'The configuration that this service has been given does not enable '
    'IsolationFilter in nova-scheduler: hosts are chosen by traits alone.',
    'Add IsolationFilter to [filter_scheduler] enabled_filters of '
    'nova-scheduler, and to the file of this service, which repeats it.',
)
FILTER_UNKNOWN = Kind(
    'isolation.audit.filter_unknown',
    WARNING,
    'It is not known whether nova-scheduler runs IsolationFilter: the '
    'configuration of this service does not say it.',
    'Set [filter_scheduler] enabled_filters in the file of this service as '
    'nova-scheduler has it.',
)
TRAITS_UNKNOWN = Kind(
    'isolation.audit.traits_unknown',
    WARNING,
    'It is not known which traits placement holds: placement could not be '
    'asked.',
    'Set [placement] in the file of this service as nova-scheduler has it; '
    'the log of this service has the error.',
)
CELL_UNREAD = Kind(
    'isolation.audit.cell_unread',
    WARNING,
    'The database of a cell could not be read, so its hosts and servers are '
    'not audited as they are now.',
    'The log of this service has the error.',
)

#: All kinds, by their codes.
KINDS: Mapping[str, Kind] = types.MappingProxyType(
    {one.code: one for one in list(vars().values()) if isinstance(one, Kind)}
)
