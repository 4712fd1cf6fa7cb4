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

"""The options of the group ``[isolation_attestation]``."""

from collections.abc import Sequence
import typing

from oslo_config import cfg
from oslo_config import types

GROUP = cfg.OptGroup(
    'isolation_attestation',
    title='Attestation options',
    help="""
Who confirms that a host was launched as it should be.

Of flavors with ``isolation:attested=true``. What a host says of itself is no
evidence of its own launch; a verifier's judgement of its TPM's quotes is.
""",
)

_OPTIONS = [
    cfg.StrOpt(
        'provider',
        default='',
        help="""
Who is asked: an entry point of ``nova_isolation.attestation``.

* ``attestd``: a nova-isolation-attestd (``url``). Recommended: it alone holds
  the key that the verifiers ask for.
* ``keylime``: Keylime's verifiers themselves (``verifiers``). For
  nova-isolation-attestd; in nova.conf it gives every service that has it
  administration over all attestation.
* ``fixture``: a file (``fixture_file``). For tests.
* empty: nobody. Guests that ask for an attested host are refused.

Services: nova-scheduler, nova-compute, nova-isolation-manage,
nova-isolation-attestd.
""",
    ),
    cfg.FloatOpt(
        'max_age',
        default=120.0,
        min=1,
        help="""
Seconds after which a good quote no longer counts.

Counted from when the verifier found it good. The ceiling of
``isolation:attested_max_age``. It has to cover the interval of the verifier's
quotes and poll_interval, and some that fail.

Services: nova-scheduler, nova-compute, nova-isolation-manage.
""",
    ),
    cfg.FloatOpt(
        'clock_skew',
        default=5.0,
        min=0,
        help="""
Seconds by which the clock of who is asked may differ from ours.

An answer whose clock differs by more is not used. A good quote may seem to
come from that far in the future. An agent that was revoked is trusted again
only for a quote that is newer than the revocation by more than that.
""",
    ),
    cfg.FloatOpt(
        'timeout',
        default=20.0,
        min=0.5,
        help="""
Seconds that a whole answer may take, connecting included.

A verifier of Keylime 7.14 takes two to three seconds for a thousand agents.
""",
    ),
    cfg.StrOpt(
        'ca_file',
        default='',
        help="""
The certificates (PEM) of the authority that signed the server's.

No other authority is trusted, those of the operating system neither.
""",
    ),
    cfg.StrOpt(
        'cert_file',
        default='',
        help="""
Our certificate (PEM), for who is asked.

Keylime's verifier asks for one. nova-isolation-attestd does if its
``client_ca_file`` is set.
""",
    ),
    cfg.StrOpt(
        'key_file',
        default='',
        help="""
The private key (PEM, without a passphrase) of cert_file.

For a verifier of Keylime it means full administration: nobody but the user
of the service, or root, may read it, else it is not used.
""",
    ),
    cfg.ListOpt(
        'verifiers',
        default=[],
        item_type=types.URI(schemes=['https']),
        help="""
Provider keylime: the verifiers, each ``https://HOST:PORT``.

Verifiers that share one database answer alike: name one of them.
""",
    ),
    cfg.FloatOpt(
        'poll_interval',
        default=10.0,
        min=0.1,
        help="""
Provider keylime: seconds between two looks at the verifiers.

It is never less than what the last look took.
""",
    ),
    cfg.StrOpt(
        'host_map',
        default='',
        help="""
Provider keylime: which agent is on which host.

* A path: a file with one ``HOST AGENT`` a line, the name of the compute
  service (``[DEFAULT] host``) and the UUID of the agent; ``#`` begins a
  comment. It is read again when it has changed.
* ``node-uuid``: the UUID of the agent is that of the compute node.
* ``metadata``: the agent's meta data at the verifier, JSON, have the name of
  the compute service as ``host``.

A host with two agents, or an agent with two hosts, is not attested.
""",
    ),
    cfg.StrOpt(
        'url',
        default='',
        help="""
Provider attestd: the address of nova-isolation-attestd, ``https://HOST:PORT``.
""",
    ),
    cfg.StrOpt(
        'fixture_file',
        default='',
        help="""
Provider fixture: the file with the verdicts.
""",
    ),
]


def list_opts() -> list[tuple[cfg.OptGroup, Sequence[cfg.Opt]]]:
    """The options, for oslo-config-generator and the documentation."""
    return [(GROUP, _OPTIONS)]


def register(conf: cfg.ConfigOpts) -> typing.Any:
    """Make the options known to a configuration.

    :returns: the group
    """
    conf.register_group(GROUP)
    conf.register_opts(_OPTIONS, group=GROUP)
    return conf.isolation_attestation
