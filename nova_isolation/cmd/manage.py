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

"""nova-isolation-manage: what an admin asks about isolation.

Runs where nova-scheduler runs, with its nova.conf: it reads the facts that
Nova holds in its databases and calls the decision that the scheduler calls.
"""

import sys
import typing

import nova.conf
from oslo_config import cfg

from nova import config
from nova import objects
from nova_isolation import opts
from nova_isolation.attestation import opts as attestation_opts
from nova_isolation.cmd import explain
from nova_isolation.mechanisms import registry

CONF = nova.conf.CONF


def _commands(subparsers: typing.Any) -> None:
    parser = subparsers.add_parser(
        'explain',
        help='say for each host whether it may run guests of a flavor',
        description=explain.__doc__,
    )
    parser.add_argument('flavor', help='name or ID of the flavor')
    parser.set_defaults(run=lambda: explain.run(CONF.command.flavor))


def main() -> int:
    """The command.

    :returns: 0; 1 where no host would do; 2 where the question cannot be
        answered
    """
    CONF.register_cli_opt(cfg.SubCommandOpt('command', handler=_commands))
    opts.register(CONF)
    attestation_opts.register(CONF)
    config.parse_args(sys.argv)
    objects.register_all()
    registry.get()
    try:
        return int(CONF.command.run())
    except explain.ExplainError as error:
        print(error, file=sys.stderr)
        return 2
