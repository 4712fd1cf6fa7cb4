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

"""nova-isolation-evidence: statements about guests, for who reads them.

``verify`` needs neither Nova nor a network, nor this project's other
requirements: only securesystemslib and cryptography.
"""

import argparse
from collections.abc import Sequence
import pathlib
import sys

_PROG = 'nova-isolation-evidence'
#: Each guest meets its flavor, and everything asked for is proven.
_OK = 0
#: The evidence is not accepted, or the log was altered.
_REFUSED = 1
#: Wrong arguments, or files that cannot be used.
_USAGE = 2
#: The evidence is accepted; it says that the guest does not meet its flavor.
_NOT_MET = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    :param arguments: instead of those of the command line
    :returns: 0 if all is proven; 1 if the evidence is not accepted; 2 if the
        arguments or files cannot be used; 3 if the evidence is accepted and
        says that the guest does not meet its flavor
    """
    parsed = _parser().parse_args(arguments)
    try:
        status: int = parsed.run(parsed)
    except OSError as error:
        return _fail(f'{error.filename}: {error.strerror}')
    except ImportError as error:
        return _fail(f'{error}. Install nova-isolation[evidence].')
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(_PROG, description=__doc__)
    commands = parser.add_subparsers(required=True, metavar='COMMAND')
    verify = commands.add_parser(
        'verify', help='verify a statement and its receipt, offline'
    )
    verify.add_argument('file', type=pathlib.Path, help='the bundle (JSON)')
    verify.add_argument(
        '--trust',
        type=pathlib.Path,
        required=True,
        metavar='FILE',
        help='whom to believe (JSON)',
    )
    verify.add_argument('--nonce', help='what must be in the statement')
    verify.set_defaults(run=_verify)
    return parser


def _verify(parsed: argparse.Namespace) -> int:
    from nova_isolation.evidence import errors
    from nova_isolation.evidence import trust
    from nova_isolation.evidence import verification

    bundle, trusted = parsed.file.read_bytes(), parsed.trust.read_bytes()
    try:
        known = trust.loads(trusted)
    except errors.BadEvidence as error:
        return _fail(f'{parsed.trust}: {error}')
    try:
        verified = verification.verify(bundle, known, parsed.nonce)
    except errors.BadEvidence as error:
        print(f'NOT ACCEPTED: {error}')
        return _REFUSED
    proven, unproven = verification.describe(verified)
    print('Proven:')
    print(''.join(f'  {one}\n' for one in proven), end='')
    print('Not proven:')
    print(''.join(f'  {one}\n' for one in unproven), end='')
    return _OK if verified.statement.verified else _NOT_MET


def _fail(why: str) -> int:
    print(f'{_PROG}: {why}', file=sys.stderr)
    return _USAGE
