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

"""The options of ``[isolation_attestation]``, common to all providers.

A provider's own options are in ``[isolation_attestation_NAME]`` and come with
its class (:meth:`nova_isolation.attestation.provider.Provider.options`).
"""

from collections.abc import Sequence
import logging
import typing

from oslo_config import cfg

from nova_isolation import option_group
from nova_isolation.attestation import loader
from nova_isolation.attestation import provider
from nova_isolation.https import client_opts
from nova_isolation.mechanisms import entry_points

LOG = logging.getLogger(__name__)

GROUP = cfg.OptGroup(
    'isolation_attestation',
    title='Attestation options',
    help="""
Which verifiers confirm that a host was launched as it should be.

They apply to flavors with ``isolation:attested=true``. A host cannot vouch
for its own launch. A verifier can, because it checks the quotes of the host's
TPM.

The options of each provider are in a group of its own,
``[isolation_attestation_NAME]``.
""",
)

_OPTIONS = [
    cfg.StrOpt(
        'provider',
        default='',
        help="""
Name of the attestation provider: an entry point of
``nova_isolation.attestation``.

* ``attestd``: asks a nova-isolation-attestd
  (``[isolation_attestation_attestd] url``). Recommended: only that daemon
  needs the key that the verifiers accept.
* ``keylime``: asks Keylime's verifiers directly
  (``[isolation_attestation_keylime] verifiers``). For nova-isolation-attestd.
  In nova.conf it gives each service that can read the file full
  administration of the verifiers.
* empty: no verifier is asked. Guests that need an attested host are refused.

Other packages may install further providers.

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

The age counts from the time at which the verifier verified the quote. This is
the upper limit of ``isolation:attested_max_age``. The value must cover the
verifier's quote interval and the provider's poll interval, and allow for a
few quotes that fail.

Services: nova-scheduler, nova-compute, nova-isolation-manage.
""",
    ),
    cfg.FloatOpt(
        'clock_skew',
        default=5.0,
        min=0,
        help="""
Seconds by which the clock of the server that is asked may differ from ours.

An answer of a server whose clock differs by more is not used. A good quote
may be dated that far in the future. An agent that was revoked is trusted
again only after a quote that is newer than the revocation by more than this.
""",
    ),
    cfg.FloatOpt(
        'timeout',
        default=20.0,
        min=0.5,
        help="""
Seconds that a complete answer may take, including the connection.

A verifier of Keylime 7.14 takes two to three seconds for a thousand agents.
""",
    ),
    *client_opts.make(
        'the server',
        "the server's certificate",
        cert_help="""\
Keylime's verifier requires a client certificate. nova-isolation-attestd
requires one if its ``client_ca_file`` is set.""",
        key_help="""\
For a verifier of Keylime this key means full administration. The key is used
only if nobody but the user of the service, or root, can read the file.""",
    ),
]


def list_opts() -> list[tuple[cfg.OptGroup, Sequence[cfg.Opt]]]:
    """Return all options, for oslo-config-generator and the documentation.

    :returns: the common options, and those of each installed provider that
        can be imported
    """
    result: list[tuple[cfg.OptGroup, Sequence[cfg.Opt]]] = [(GROUP, _OPTIONS)]
    for name, cls in loader.load_all().items():
        try:
            options = entry_points.options(cls)
        except BaseException as error:
            LOG.warning(
                'Provider %s is left out, because its options() raised %s',
                name,
                entry_points.words(error),
            )
            continue
        if options:
            result.append((_own_group(name), options))
    return result


def register(conf: cfg.ConfigOpts) -> typing.Any:
    """Register the common options. Imports no provider.

    :returns: the group ``[isolation_attestation]``
    """
    return option_group.register(conf, GROUP, _OPTIONS)


def register_own(
    conf: cfg.ConfigOpts, name: str, cls: type[provider.Provider]
) -> typing.Any:
    """Register the options of one provider.

    :param name: of its entry point
    :returns: the group ``[isolation_attestation_NAME]``
    """
    group = _own_group(name)
    conf.register_group(group)
    conf.register_opts(entry_points.options(cls), group=group)
    return conf[group.name]


def _own_group(name: str) -> cfg.OptGroup:
    return cfg.OptGroup(
        f'{GROUP.name}_{name}',
        title=f'Options of the attestation provider {name}',
        help=f"""
Options of the attestation provider ``{name}``.

They are used if ``[isolation_attestation] provider`` is ``{name}``.
""",
    )
