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
"""nova-isolation-attestd: a daemon between the verifiers and the cloud.

The daemon asks the verifiers which hosts are attested, and answers schedulers
and compute services, so that only the daemon needs the key that the verifiers
accept. The daemon needs neither Nova nor the configuration of Nova.
"""

import sys

from oslo_config import cfg
from oslo_log import log

from nova_isolation.model import errors

_PROG = 'nova-isolation-attestd'
_CONFIG = '/etc/nova-isolation/attestd.conf'


def main(arguments: list[str] | None = None) -> int:
    """Run the daemon.

    :param arguments: instead of those of the command line
    :returns: 0 after SIGTERM or SIGINT; 2 if the daemon cannot work as
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
        # Here and not above, to report a missing package like other errors.
        from nova_isolation.attestd import daemon
    except ImportError as error:
        return _fail(
            f'{error}. Install nova-isolation[attestd], which requires the '
            'packages of this daemon.'
        )
    try:
        conf(
            sys.argv[1:] if arguments is None else arguments,
            project='nova-isolation',
            prog=_PROG,
            default_config_files=[_CONFIG],
            default_config_dirs=[],
        )
        log.setup(conf, _PROG)
        daemon.Daemon(conf).run()
    except (
        cfg.Error,
        errors.IsolationError,
        log.LogConfigError,
    ) as error:
        return _fail(' '.join(str(error).split()))
    return 0


def _fail(why: str) -> int:
    print(f'{_PROG}: {why}', file=sys.stderr)
    return 2
