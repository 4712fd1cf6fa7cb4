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

"""The options of ``[isolation_evidence]``."""

from collections.abc import Sequence
import typing

from oslo_config import cfg

from nova_isolation import option_group
from nova_isolation.https import client_opts

GROUP = cfg.OptGroup(
    'isolation_evidence',
    title='Evidence options',
    help="""
Signed statements of this host about its guests.

After each verification of a guest the compute service states what was asked
for, what was read and from which host, and signs the statement. A
nova-isolation-attestd keeps the statements in a log. Whoever has the key of
the log can check a statement later, without this cloud.
""",
)

#: How the log is asked, which other services do as well.
_LOG_OPTIONS = [
    cfg.StrOpt(
        'url',
        default='',
        help="""
Address of the log of nova-isolation-attestd, ``https://HOST:PORT``.

Empty: this host sends no statements, and nova-isolation-api reads none.

Services: nova-compute, nova-isolation-manage, nova-isolation-api.
""",
    ),
    *client_opts.make(
        'the log',
        'the certificate of the log',
        services='nova-compute, nova-isolation-manage, nova-isolation-api',
    ),
    cfg.FloatOpt(
        'timeout',
        default=20.0,
        min=0.5,
        help="""
Seconds that a complete answer of the log may take.

Services: nova-compute, nova-isolation-manage, nova-isolation-api.
""",
    ),
    cfg.FloatOpt(
        'clock_skew',
        default=5.0,
        min=0,
        help="""
Seconds by which the clock of the log may differ from ours. An answer with
another time is not used.

Services: nova-compute, nova-isolation-manage, nova-isolation-api.
""",
    ),
]

_OPTIONS = [
    cfg.StrOpt(
        'signing_key',
        default='',
        choices=[
            ('', 'This host makes no statements.'),
            (
                'tpm',
                'The key is in the TPM of this host, and can be used only '
                'after the measured launch in which it was made.',
            ),
            (
                'file',
                'The key is in a file. Whoever could read the file can sign. '
                'Each statement says that its key is one in a file.',
            ),
        ],
        help="""
Where the key is that signs the statements of this host.

``nova-isolation-manage evidence-key create`` makes the key. The library
securesystemslib must be installed, and tpm2-tools for ``tpm``.

Services: nova-compute, nova-isolation-manage.
""",
    ),
    cfg.StrOpt(
        'key_dir',
        default='/var/lib/nova/isolation-evidence',
        help="""
The folder with the key. It belongs to the user of nova-compute, and nobody
else may read it.

Services: nova-compute, nova-isolation-manage.
""",
    ),
    cfg.StrOpt(
        'tpm_tcti',
        default='device:/dev/tpmrm0',
        help="""
How tpm2-tools reach the TPM (TPM2TOOLS_TCTI). The user of nova-compute must
be able to open the device: mostly by the group ``tss``.

Services: nova-compute, nova-isolation-manage.
""",
    ),
    cfg.StrOpt(
        'tpm_key_handle',
        default='0x81020001',
        regex='0x81[0-9A-Fa-f]{6}',
        help="""
The persistent handle of the key in the TPM. Nothing else may use it.

Services: nova-compute, nova-isolation-manage.
""",
    ),
    cfg.StrOpt(
        'tpm_ek_handle',
        default='0x81010001',
        regex='0x81[0-9A-Fa-f]{6}',
        help="""
The persistent handle of the endorsement key that Keylime's registrar knows.

Services: nova-isolation-manage.
""",
    ),
    cfg.IntOpt(
        'heartbeat',
        default=3600,
        min=60,
        help="""
Seconds after which a statement is made again although nothing has changed.

A guest is verified again every ``[isolation] verify_interval`` seconds. Where
that finds the same as before, no statement is made until this time is over.

Services: nova-compute.
""",
    ),
    cfg.IntOpt(
        'max_waiting',
        default=1000,
        min=1,
        help="""
How many guests may have a statement that waits for the log.

While the log is away, the newest statement of each guest waits. Beyond this
number the guest whose statement has waited longest loses it.

Services: nova-compute.
""",
    ),
]


def list_opts() -> list[tuple[cfg.OptGroup, Sequence[cfg.Opt]]]:
    """Return all options, for oslo-config-generator and the documentation."""
    return [(GROUP, _OPTIONS + _LOG_OPTIONS)]


def list_log_opts() -> list[tuple[cfg.OptGroup, Sequence[cfg.Opt]]]:
    """Return the options by which the log is asked."""
    return [(GROUP, _LOG_OPTIONS)]


def register(conf: cfg.ConfigOpts) -> typing.Any:
    """Register the options.

    :returns: the group ``[isolation_evidence]``
    """
    return option_group.register(conf, GROUP, _OPTIONS + _LOG_OPTIONS)


def register_log(conf: cfg.ConfigOpts) -> typing.Any:
    """Register the options by which the log is asked.

    :returns: the group ``[isolation_evidence]``
    """
    return option_group.register(conf, GROUP, _LOG_OPTIONS)
