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

"""The options of the group ``[evidence]``, in attestd.conf."""

from collections.abc import Sequence
import typing

from oslo_config import cfg
from oslo_config import types

from nova_isolation import option_group

GROUP = cfg.OptGroup(
    'evidence',
    title='Options of the log of statements',
    help="""
The log of statements about guests (evidence), in nova-isolation-attestd.

Hosts send what they state about their guests. The daemon checks the key of
the host and the host's standing at its verifier, and adds the statement to a
log whose head it signs.
""",
)

_OPTIONS = [
    cfg.PortOpt(
        'port',
        default=0,
        help="""
Port of the log; 0: there is no log.

The port uses the address, the certificate, the key and the CAs of clients of
``[attestd]``. A client certificate is required, so ``[attestd]
client_ca_file`` must be set. Each client can read the statements about a
server whose UUID it knows.
""",
    ),
    cfg.StrOpt(
        'database',
        default='sqlite:////var/lib/nova-isolation-attestd/evidence.sqlite',
        secret=True,
        help="""
Where the log is: a URL of SQLAlchemy, of SQLite or PostgreSQL.

One daemon at a time may use a database. With PostgreSQL, the driver must be
installed (``postgresql+psycopg://USER:PASSWORD@HOST/NAME``).
""",
    ),
    cfg.StrOpt(
        'log_key_file',
        default='',
        help="""
File with the private key (PEM, P-256, without a passphrase) of the log.

The log signs its heads with it. Readers must have the public key. Make it by
``openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256``. A new key
needs a new, empty database. The key is used only if nobody but the user of
the daemon, or root, can read the file.
""",
    ),
    cfg.StrOpt(
        'registrar',
        default='',
        help="""
Address of Keylime's registrar, ``https://HOST:PORT`` (its TLS port).

The registrar says which endorsement key the TPM of an agent has. It is asked
with the certificate of ``[isolation_attestation]``. Empty: no key in a TPM is
taken, only keys in files that the administrator has added
(``nova-isolation-evidence keys add``).
""",
    ),
    cfg.ListOpt(
        'pcrs',
        default=[17],
        item_type=types.Integer(0, 23),
        help="""
The registers (PCRs, SHA-256) to which the key of a host must be bound.

The verifier's policy of the host (tpm_policy) must approve values of all of
them. PCR 17 has the measured launch of the hypervisor.
""",
    ),
    cfg.FloatOpt(
        'max_delay',
        default=3600.0,
        min=1,
        help="""
Seconds after which a statement is too old to be taken.

So long a host can keep statements while this daemon is down. The standing of
the host is that of the moment at which the statement arrives.
""",
    ),
    cfg.IntOpt(
        'retention_days',
        default=0,
        min=0,
        help="""
Days after which the content of an entry is removed; 0: never.

The hash of the entry stays, so that proofs about all other entries stay
possible, and the removal of anything else is still detected.
""",
    ),
    cfg.IntOpt(
        'max_clients',
        default=1000,
        min=2,
        help="""
How many clients may be connected to the port at once; see ``[attestd]
max_clients``.
""",
    ),
]


def list_opts() -> list[tuple[cfg.OptGroup, Sequence[cfg.Opt]]]:
    """Return the options, for oslo-config-generator and the documentation."""
    return [(GROUP, _OPTIONS)]


def register(conf: cfg.ConfigOpts) -> typing.Any:
    """Register the options.

    :returns: the group ``[evidence]``
    """
    return option_group.register(conf, GROUP, _OPTIONS)
