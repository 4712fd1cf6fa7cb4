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
"""The options of the group ``[isolation_api]``, in api.conf."""

from collections.abc import Sequence
import typing

from oslo_config import cfg

from nova_isolation import option_group
from nova_isolation.attestd import listener_opts

GROUP = cfg.OptGroup(
    'isolation_api',
    title='Options of nova-isolation-api',
    help="""
Address, limits and sources of nova-isolation-api.

The same file has ``[api_database]`` and ``[database]`` of Nova, with an
account that may only read; ``[keystone_authtoken]``; and ``[isolation]``, with
the ``mode``, ``facts_max_age`` and ``clock_skew`` of nova-scheduler.
""",
)

_LISTENER = [
    *listener_opts.make(
        'service',
        8897,
        'Port on which the service listens.',
        500,
        """\
If all places are taken, the client with most connections gives way. The
connections of one address count together, so those of one proxy do.""",
        cert_help="""\
Empty: the service speaks plain HTTP. Tokens are then readable on the way, so
bind it to an address that only a proxy with TLS reaches.""",
    ),
    cfg.StrOpt(
        'metrics_listen',
        default='',
        help="""
Address and port of the metrics for Prometheus, for example 127.0.0.1:8898 or
[::1]:8898. The path is /metrics.

Whoever reaches this port reads the names of hosts and flavors, and numbers,
without a token. Empty: there are no metrics.
""",
    ),
    cfg.StrOpt(
        'public_url',
        default='',
        regex='(https?://[^/]+.*)?$',
        help="""
Address of the service in the links of its answers, as in the catalog.

Empty: the address that the client has used, as the service sees it. Set it
where a proxy stands before the service.
""",
    ),
]

_ANSWERS = [
    cfg.FloatOpt(
        'refresh_interval',
        default=20.0,
        min=1.0,
        help="""
Seconds between two readings of Nova's databases.

Requests are answered from the last reading. What is decided on it, for
example whether the facts of a host are too old, is decided at each request.
""",
    ),
    cfg.FloatOpt(
        'picture_max_age',
        default=120.0,
        min=2.0,
        help="""
Seconds after which a reading of Nova's databases is not answered from.

If the databases cannot be read for longer, the service answers 503. Must be
more than refresh_interval. A cell that has not been read within a quarter of
this counts as a cell that cannot be read.
""",
    ),
    cfg.IntOpt(
        'max_limit',
        default=1000,
        min=1,
        help="""
How many items one answer has at most; further ones are on a next page.
""",
    ),
    cfg.FloatOpt(
        'identity_timeout',
        default=10.0,
        min=0.1,
        help="""
Seconds that keystone may take to check a token, before the request is
answered with 503.
""",
    ),
]

_DATABASE = [
    cfg.StrOpt(
        'cell_connection',
        default='',
        secret=True,
        help="""
Connection to the database of each cell, in place of that of Nova's cell
mapping.

The cell mappings usually name an account that may write. Name here one that
may only read, in the form of Nova's own templates: ``{hostname}``, ``{port}``,
``{path}`` and so on stand for the parts of the cell mapping's connection, for
example ``mysql+pymysql://nova_isolation:SECRET@{hostname}:{port}/{path}``.

Empty: the connection of the cell mapping.
""",
    ),
]

_ALL = _LISTENER + _ANSWERS + _DATABASE


def list_opts() -> list[tuple[cfg.OptGroup, Sequence[cfg.Opt]]]:
    """Return the options, for oslo-config-generator and the documentation."""
    return [(GROUP, _ALL)]


def register(conf: cfg.ConfigOpts) -> typing.Any:
    """Register the options.

    :returns: the group ``[isolation_api]``
    """
    return option_group.register(conf, GROUP, _ALL)
