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
"""nova-isolation-attestd: between the verifiers and the cloud.

Asks the verifiers which hosts are attested, and tells schedulers and
computes, so that it alone holds the key that the verifiers ask for. It needs
neither Nova nor its configuration.
"""

import sys

from oslo_config import cfg
from oslo_log import log

from nova_isolation.attestation import opts as attestation_opts
from nova_isolation.attestation import provider
from nova_isolation.attestd import opts

_PROG = 'nova-isolation-attestd'
_CONFIG = '/etc/nova-isolation/attestd.conf'


def main(arguments: list[str] | None = None) -> int:
    """The command.

    :param arguments: in place of those of the command line
    :returns: 0 when it was told to end; 2 where it cannot work as it is
        configured
    """
    conf = cfg.ConfigOpts()
    log.register_options(conf)
    log.set_defaults(
        default_log_levels=[
            *log.get_default_log_levels(),
            'uvicorn=WARNING',
            'asyncio=WARNING',
        ]
    )
    try:
        # The message of a missing package is as clear as any other.
        from nova_isolation.attestd import daemon
        from nova_isolation.attestd import listener
    except ImportError as error:
        return _wrong(
            f'{error}. Install nova-isolation[attestd], which has what this '
            'daemon serves with.'
        )
    try:
        conf(
            sys.argv[1:] if arguments is None else arguments,
            project='nova-isolation',
            prog=_PROG,
            default_config_files=[_CONFIG],
            default_config_dirs=[],
        )
        options = opts.register(conf)
        attestation = attestation_opts.register(conf)
        # Else a value that is wrong is found when it is first needed.
        for group in (options, attestation):
            for name in group:
                group[name]
        log.setup(conf, _PROG)
        daemon.Daemon(options, attestation).run()
    except (
        cfg.Error,
        provider.ProviderError,
        listener.ListenerError,
        log.LogConfigError,
    ) as error:
        return _wrong(' '.join(str(error).split()))
    return 0


def _wrong(why: str) -> int:
    print(f'{_PROG}: {why}', file=sys.stderr)
    return 2
