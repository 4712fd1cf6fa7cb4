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

"""The commands about signed statements."""

import argparse
import json
import pathlib

from oslo_utils import uuidutils

from nova_isolation.osc import command
from nova_isolation.osc import errors


class ShowServerEvidence(command.Command):
    """Get a signed statement about a server

    With --nonce the host verifies the running guest now, and states what it
    finds together with your nonce, so that you know that the statement is
    new. Without it, the newest statement of the log is printed. "openstack
    isolation evidence verify" says what a statement proves; it asks nobody.

    The exit code is 0; 1 where there is no statement, or where the log has
    not countersigned it; 2 where the service or the host does not answer.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """See the base class."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'server', metavar='<server>', help='Server (name or ID)'
        )
        parser.add_argument(
            '--nonce',
            metavar='<nonce>',
            help=(
                'Text that must be in the statement: 8 to 128 letters, '
                'digits and characters of _.~-, which nobody can guess, for '
                'example the output of "openssl rand -hex 16"'
            ),
        )
        parser.add_argument(
            '--output',
            type=pathlib.Path,
            metavar='<file>',
            help='File to write (default: standard output)',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """See the base class."""
        uuid = parsed_args.server
        if not uuidutils.is_uuid_like(uuid):
            uuid = self.nova.server(uuid).id
        found = self.service.evidence(uuid, parsed_args.nonce)
        if found.get('code'):
            self.status = command.NO
            self.say(f'{found.get("detail")} [{found["code"]}]')
        bundle = found['bundle']
        if bundle is None:
            return
        text = json.dumps(bundle)
        if parsed_args.output is None:
            print(text, file=self.app.stdout)
        else:
            parsed_args.output.write_text(f'{text}\n')


class VerifyIsolationEvidence(command.Command):
    """Verify a statement and say what it proves

    Nobody is asked. The trust file names the logs and keys that you believe.
    "nova-isolation-evidence verify" does the same where there is no
    "openstack".

    The exit code is 0 where the guest met its flavor; 1 where the statement is
    not accepted; 2 where the files cannot be used; 3 where the statement is
    accepted and says that the guest did not meet its flavor.
    """

    needs_cloud = False

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """See the base class."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'file',
            type=pathlib.Path,
            metavar='<file>',
            help='Output of "openstack server isolation evidence"',
        )
        parser.add_argument(
            '--trust',
            type=pathlib.Path,
            required=True,
            metavar='<file>',
            help='Whom to believe (JSON)',
        )
        parser.add_argument(
            '--nonce',
            metavar='<nonce>',
            help='Text that must be in the statement',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """See the base class."""
        try:
            from nova_isolation.evidence import trust
            from nova_isolation.evidence import verification
        except ImportError as error:
            raise errors.Failure(
                f'{error}. Install nova-isolation[evidence].'
            ) from error
        self.status, lines = verification.report(
            parsed_args.file.read_bytes(),
            trust.loads(parsed_args.trust.read_bytes()),
            parsed_args.nonce,
        )
        print('\n'.join(lines), file=self.app.stdout)
