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

from nova_isolation import option_group
from nova_isolation.attestd import listener_opts

GROUP = cfg.OptGroup(
    'attestd',
    title='Options of nova-isolation-attestd',
    help="""
Ports, certificates and clients of nova-isolation-attestd.

Which verifiers the daemon asks is in ``[isolation_attestation]`` and in the
group of its provider.
""",
)

_SNAPSHOT = [
    *listener_opts.make(
        'daemon',
        8899,
        'Port for schedulers and compute services. The port always uses TLS.',
        1000,
        """\
Each nova-scheduler process and each nova-compute that uses this daemon is
connected all the time. If all places are taken, the client with most
connections gives way: the connections of one address with one certificate
count together. A further connection of that client is refused (503).

The daemon needs about 460 file descriptors more than this value, or 330 and a
quarter of this value if that is more. It does not start if its limit
(``LimitNOFILE`` of a systemd unit) is lower.""",
        key_help=(
            'with this key anybody could send false verdicts to the schedulers'
        ),
    ),
    cfg.StrOpt(
        'client_ca_file',
        default='',
        help="""
File with the CA certificates (PEM) that sign the certificates of clients.

Empty: each client that can connect may read the snapshot. The snapshot
contains which hosts are attested, and no secret.
""",
    ),
]

_WEBHOOK = [
    cfg.PortOpt(
        'webhook_port',
        default=0,
        help="""
Port for the webhook of the verifiers; 0: no webhook.

Keylime's ``webhook_url`` is then ``https://HOST:PORT/v1/revocation``.
Without the webhook a failed host is noticed at the next poll. The provider
must be able to read revocation messages, as ``keylime`` can.
""",
    ),
    cfg.StrOpt(
        'webhook_cert_file',
        default='',
        help="""
File with the certificate (PEM) for webhook_port; the verifiers must trust
it.
""",
    ),
    cfg.StrOpt(
        'webhook_key_file',
        default='',
        help="""
File with the private key (PEM, without a passphrase) of webhook_cert_file.
""",
    ),
    cfg.StrOpt(
        'webhook_ca_file',
        default='',
        help="""
File with the CA certificates (PEM) that sign the certificates of verifiers.

Required with webhook_port: a client without a certificate of these CAs is
refused. The messages are not signed, so each such client can revoke the trust
in any host. No message can give trust.
""",
    ),
]


def list_opts() -> list[tuple[cfg.OptGroup, Sequence[cfg.Opt]]]:
    """Return the options, for oslo-config-generator and the documentation."""
    return [(GROUP, _SNAPSHOT + _WEBHOOK)]


def register(conf: cfg.ConfigOpts) -> typing.Any:
    """Register the options.

    :returns: the group ``[attestd]``
    """
    return option_group.register(conf, GROUP, _SNAPSHOT + _WEBHOOK)
