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

The program runs where nova-scheduler runs, with its nova.conf: it reads the
facts that Nova's databases hold and calls the decision that the scheduler
calls.
"""

import io
import sys
import typing

from nova import config
from nova import objects
import nova.conf
from oslo_config import cfg

from nova_isolation import opts
from nova_isolation.attestation import opts as attestation_opts
from nova_isolation.cmd import error
from nova_isolation.cmd import evidence_key
from nova_isolation.cmd import explain
from nova_isolation.cmd import metadefs
from nova_isolation.cmd import qemu
from nova_isolation.mechanisms import registry

CONF = nova.conf.CONF

#: The commands. Each is a module with ``add(subparsers)``, which adds a parser
#: whose default ``run`` takes the parsed arguments and returns the exit
#: status. It may raise CommandError.
COMMANDS = (evidence_key, explain, metadefs, qemu)


def _add_commands(subparsers: typing.Any) -> None:
    for command in COMMANDS:
        command.add(subparsers)


def main() -> int:
    """The program.

    :returns: the exit status of the command; 2 where the command cannot do
        what was asked
    """
    CONF.register_cli_opt(cfg.SubCommandOpt('command', handler=_add_commands))
    opts.register(CONF)
    attestation_opts.register(CONF)
    config.parse_args(sys.argv)
    objects.register_all()
    registry.get()
    for stream in (sys.stdout, sys.stderr):
        # What a host says of itself may have letters that the terminal's
        # encoding lacks; the answers about the others are printed all the
        # same.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors='backslashreplace')
    try:
        return int(CONF.command.run(CONF.command))
    except error.CommandError as failure:
        print(failure, file=sys.stderr)
        return 2
