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
"""The options of the group ``[attestd]``, in attestd.conf."""

from collections.abc import Sequence
import typing

from oslo_config import cfg

GROUP = cfg.OptGroup(
    'attestd',
    title='Options of nova-isolation-attestd',
    help="""
To whom nova-isolation-attestd speaks, and how they know each other.

Whom it asks itself is in ``[isolation_attestation]``.
""",
)

_SNAPSHOT = [
    cfg.HostAddressOpt(
        'bind',
        default='127.0.0.1',
        help="""
The address on which it listens.
""",
    ),
    cfg.PortOpt(
        'port',
        default=8899,
        min=1,
        help="""
The port for those who ask for the snapshot. Always TLS.
""",
    ),
    cfg.StrOpt(
        'cert_file',
        default='',
        help="""
Its certificate (PEM), with those between it and the authority.
""",
    ),
    cfg.StrOpt(
        'key_file',
        default='',
        help="""
The private key (PEM, without a passphrase) of cert_file.

Nobody but the user of the daemon, or root, may read it, else it is not used:
whoever has it can tell the schedulers what he likes.
""",
    ),
    cfg.StrOpt(
        'client_ca_file',
        default='',
        help="""
The certificates (PEM) of the authority that signed those of the clients.

Empty: everybody who can connect may read the snapshot. It says which hosts
are attested, and holds no secret.
""",
    ),
    cfg.IntOpt(
        'max_clients',
        default=1000,
        min=2,
        help="""
How many may be connected at once; others are sent away (503).

Each nova-scheduler process and each nova-compute that asks this daemon is
one of them, all the time. More file descriptors than that must be allowed
(``LimitNOFILE`` of a systemd unit).
""",
    ),
]

_WEBHOOK = [
    cfg.PortOpt(
        'webhook_port',
        default=0,
        help="""
The port for the verifiers' webhook, 0 for none.

Keylime's ``webhook_url`` is then ``https://HOST:PORT/v1/revocation``.
Without it, that a host has failed is seen at the next poll.
""",
    ),
    cfg.StrOpt(
        'webhook_cert_file',
        default='',
        help="""
The certificate (PEM) for webhook_port, one that the verifiers trust.
""",
    ),
    cfg.StrOpt(
        'webhook_key_file',
        default='',
        help="""
The private key (PEM, without a passphrase) of webhook_cert_file.
""",
    ),
    cfg.StrOpt(
        'webhook_ca_file',
        default='',
        help="""
The certificates (PEM) of the authority that signed those of the verifiers.

Needed with webhook_port: whoever has no certificate of it is not heard. The
messages are not signed, so whoever has one can take trust away from hosts.
Nobody can give it by a message.
""",
    ),
]


def list_opts() -> list[tuple[cfg.OptGroup, Sequence[cfg.Opt]]]:
    """The options, for oslo-config-generator and the documentation."""
    return [(GROUP, _SNAPSHOT + _WEBHOOK)]


def register(conf: cfg.ConfigOpts) -> typing.Any:
    """Make the options known to a configuration.

    :returns: the group
    """
    conf.register_group(GROUP)
    conf.register_opts(_SNAPSHOT + _WEBHOOK, group=GROUP)
    return conf.attestd
