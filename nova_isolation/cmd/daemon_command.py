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
"""What the commands of both daemons do before and after they serve."""

from collections.abc import Callable
import dataclasses
import sys

from oslo_config import cfg
from oslo_log import log

from nova_isolation.model import errors

#: Libraries that log each request, or nothing that an admin needs.
_QUIET = ['uvicorn=WARNING', 'asyncio=WARNING']


@dataclasses.dataclass(frozen=True)
class Program:
    """A daemon.

    :ivar name: of the program
    :ivar config_file: which it reads if the command line names none
    :ivar extra: the extra of the package that requires what it needs
    """

    name: str
    config_file: str
    extra: str


def run(
    program: Program,
    conf: cfg.ConfigOpts,
    arguments: list[str] | None,
    load: Callable[[], Callable[[], None]],
) -> int:
    """Read the configuration, and serve.

    :param program: the daemon
    :param conf: its configuration, not read yet
    :param arguments: instead of those of the command line
    :param load: imports what the daemon needs, and returns what serves until
        SIGTERM or SIGINT. What serves is called after the configuration was
        read.
    :returns: 0 after SIGTERM or SIGINT; 2 if the daemon cannot work as
        configured
    """
    log.register_options(conf)
    log.set_defaults(
        default_log_levels=[*log.get_default_log_levels(), *_QUIET]
    )
    try:
        serve = load()
    except ImportError as error:
        return _fail(
            program,
            f'{error}. Install nova-isolation[{program.extra}], which '
            'requires the packages of this program.',
        )
    try:
        conf(
            sys.argv[1:] if arguments is None else arguments,
            project='nova-isolation',
            prog=program.name,
            default_config_files=[program.config_file],
            # Not those of Nova, whose files have accounts that may write.
            default_config_dirs=[],
        )
        log.setup(conf, program.name)
        serve()
    except (
        cfg.Error,
        errors.IsolationError,
        log.LogConfigError,
    ) as error:
        return _fail(program, ' '.join(str(error).split()))
    return 0


def _fail(program: Program, why: str) -> int:
    print(f'{program.name}: {why}', file=sys.stderr)
    return 2
