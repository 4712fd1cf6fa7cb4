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

"""The base of the commands.

All commands share their exit codes: 0, 1 where the answer is "no" (no host
would do, the audit found something), 2 where the command cannot tell or do
what was asked. osc-lib itself would end with 1 where Keystone does not answer.
"""

import argparse
from collections.abc import Mapping
import typing

from cliff import help as cliff_help
from osc_lib.command import command

from nova_isolation.mechanisms import registry
from nova_isolation.osc import client
from nova_isolation.osc import nova_api
from nova_isolation.osc import plugin
from nova_isolation.profiles import library

#: The exit codes.
NO = 1
CANNOT = 2


class Command(command.Command):
    """A command that says what it could not do.

    :cvar needs_cloud: whether the command needs a token
    :ivar status: the exit code, if nothing fails
    """

    needs_cloud = True
    #: See :meth:`run`.
    auth_required = False
    status = 0

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Run the command.

        :returns: the exit code
        """
        try:
            if self.needs_cloud:
                # osc-lib gets the token before it calls the command, and
                # ends with 1 if it gets none. So this is done here.
                self.auth_required = True
                self.app.prepare_to_run_command(self)
            return int(super().run(parsed_args)) or self.status
        except (BrokenPipeError, cliff_help.HelpExit):
            raise
        except Exception as error:
            if self.app.options.debug:
                self.log.exception('The command failed')
            else:
                self.log.error('%s', error)
            return CANNOT

    @property
    def service(self) -> client.Client:
        """The service isolation."""
        # osc-lib adds it when it loads plugins.
        found: client.Client = getattr(
            self.app.client_manager, plugin.API_NAME
        )
        return found

    @property
    def nova(self) -> nova_api.Nova:
        """Nova's API."""
        return nova_api.Nova(self.app.client_manager.sdk_connection.compute)

    def is_complete(self) -> bool:
        """Return whether the service could read all cells.

        Says what it could not read.
        """
        for cell, reason in self.service.unread.items():
            self.say(
                f'The service isolation could not read the cell {cell}: '
                f'{reason}. What is there is not part of the answer.'
            )
        return not self.service.unread

    def is_current(self, answer: Mapping[str, typing.Any]) -> bool:
        """Return whether an answer is about what the database has now.

        Says how old it is otherwise.
        """
        age = answer.get('read_age_seconds')
        if age is not None:
            self.say(
                "Nova's database does not answer the service isolation. What "
                f'is shown was read {age} s ago; a later change is not part '
                'of it.'
            )
        return age is None

    def library(self) -> library.Library:
        """Return the profiles."""
        return library.Library(
            registry.get().vocabulary,
            plugin.profile_folders(self.app.options.os_isolation_profiles),
        )

    def say(self, text: str) -> None:
        """Print a sentence beside the output, which may be a document."""
        print(text, file=self.app.stderr)


class Lister(Command, command.Lister):
    """A command that prints a list."""


class ShowOne(Command, command.ShowOne):
    """A command that prints one thing."""
