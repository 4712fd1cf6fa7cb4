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
requirements: only securesystemslib and cryptography. ``head`` and ``audit``
are for auditors,
``keys`` for the administrator of the log.
"""

import argparse
from collections.abc import Callable
from collections.abc import Sequence
import datetime
import pathlib
import sys
import typing

from nova_isolation.model import errors

if typing.TYPE_CHECKING:
    from nova_isolation.attestd.evidence import keyring
    from nova_isolation.evidence import kept_head
    from nova_isolation.evidence import trust as trusts

_PROG = 'nova-isolation-evidence'
_CONFIG = '/etc/nova-isolation/attestd.conf'
#: Seconds for an answer of the log, and by which its clock may differ.
_SECONDS = 60.0
_OK = 0
#: The log was altered, or has what it should not have.
_REFUSED = 1
#: Wrong arguments, or files that cannot be used.
_USAGE = 2


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
    except errors.IsolationError as error:
        return _fail(str(error))
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
    head = commands.add_parser(
        'head',
        help='check that a log still has what it had, and keep its head',
    )
    head.add_argument('file', type=pathlib.Path, help='the head that is kept')
    head.set_defaults(run=_head)
    audit = commands.add_parser(
        'audit',
        help='read and check a whole log, and show what became of keys',
    )
    audit.set_defaults(run=_audit)
    for one in (head, audit):
        one.add_argument('--url', required=True, help='https://HOST:PORT')
        for name, what in (
            ('trust', 'whom to believe (JSON)'),
            ('ca-file', "CAs of the log's certificate (PEM)"),
            ('cert-file', 'our certificate (PEM)'),
            ('key-file', 'its private key (PEM)'),
        ):
            one.add_argument(
                f'--{name}',
                type=pathlib.Path,
                required=True,
                metavar='FILE',
                help=what,
            )
    keys = commands.add_parser(
        'keys', help="the keys of hosts, on the log's machine"
    )
    keys.add_argument('--config-file', default=_CONFIG, metavar='FILE')
    actions = keys.add_subparsers(required=True, metavar='ACTION')
    actions.add_parser('list', help='show all keys').set_defaults(
        run=_list_keys
    )
    add = actions.add_parser('add', help='take a key that is in a file')
    add.add_argument('host', help='the name of the compute service')
    add.add_argument('file', type=pathlib.Path, help='the public key (PEM)')
    add.set_defaults(run=_add_key)
    revoke = actions.add_parser('revoke', help='never take a key again')
    revoke.add_argument('key', help='its id')
    revoke.add_argument('reason', help='why, for those who read the list')
    revoke.set_defaults(run=_revoke_key)
    forget = actions.add_parser(
        'forget', help='let an agent enroll with another TPM'
    )
    forget.add_argument('agent')
    forget.set_defaults(run=_forget_agent)
    return parser


def _verify(parsed: argparse.Namespace) -> int:
    from nova_isolation.evidence import errors as bad
    from nova_isolation.evidence import trust
    from nova_isolation.evidence import verification

    bundle, trusted = parsed.file.read_bytes(), parsed.trust.read_bytes()
    try:
        known = trust.loads(trusted)
    except bad.BadEvidence as error:
        return _fail(f'{parsed.trust}: {error}')
    status, lines = verification.report(bundle, known, parsed.nonce)
    print('\n'.join(lines))
    return status


def _head(parsed: argparse.Namespace) -> int:
    from nova_isolation.evidence import kept_head

    return _of_log(
        parsed,
        lambda ask, known: (
            _OK,
            [kept_head.renew(parsed.file, ask, known)],
        ),
    )


def _audit(parsed: argparse.Namespace) -> int:
    from nova_isolation.evidence import log_audit

    def audit(
        ask: 'kept_head.Ask', known: 'trusts.Trust'
    ) -> tuple[int, list[str]]:
        found = log_audit.audit(ask, known)
        return _REFUSED if found.faults else _OK, log_audit.describe(found)

    return _of_log(parsed, audit)


def _of_log(
    parsed: argparse.Namespace,
    check: Callable[
        ['kept_head.Ask', 'trusts.Trust'], tuple[int, Sequence[str]]
    ],
) -> int:
    """Check something of a log.

    :param check: is given what asks the log, and whom to believe; returns the
        exit status and lines
    """
    from nova_isolation.evidence import errors as bad
    from nova_isolation.evidence import trust
    from nova_isolation.https import https_client
    from nova_isolation.https import https_error

    try:
        known = trust.loads(parsed.trust.read_bytes())
        client = https_client.Client(
            ca_file=str(parsed.ca_file),
            cert_file=str(parsed.cert_file),
            key_file=str(parsed.key_file),
            timeout=_SECONDS,
            clock_skew=_SECONDS,
        )

        def ask(path: str) -> tuple[int, bytes]:
            answer = client.get(parsed.url.rstrip('/') + path)
            return answer.status, answer.body

        status, lines = check(ask, known)
    except https_error.HttpsError as error:
        return _fail(str(error))
    except bad.BadEvidence as error:
        print(f'NOT ACCEPTED: {error}')
        return _REFUSED
    print('\n'.join(lines))
    return status


def _keyring(parsed: argparse.Namespace) -> 'keyring.Keyring':
    from oslo_config import cfg

    from nova_isolation.attestd.evidence import keyring
    from nova_isolation.attestd.evidence import opts
    from nova_isolation.attestd.evidence import store

    conf = cfg.ConfigOpts()
    options = opts.register(conf)
    conf([], prog=_PROG, default_config_files=[parsed.config_file])
    return keyring.Keyring(store.Store(options.database))


def _list_keys(parsed: argparse.Namespace) -> int:
    for one in _keyring(parsed).all():
        at = datetime.datetime.fromtimestamp(one.since, datetime.timezone.utc)
        print(
            f'{one.key_id} {one.kind.value:4} {one.state.value:8} '
            f'{at:%Y-%m-%dT%H:%M:%SZ} {one.host or "-"} {one.agent or "-"} '
            f'({one.why})'
        )
    return _OK


def _add_key(parsed: argparse.Namespace) -> int:
    text = parsed.file.read_text(errors='replace')
    print(_keyring(parsed).add_file(parsed.host, text))
    return _OK


def _revoke_key(parsed: argparse.Namespace) -> int:
    if _keyring(parsed).revoke(parsed.key, parsed.reason):
        return _OK
    return _fail(f'wanted the id of a key, found {parsed.key}; see keys list')


def _forget_agent(parsed: argparse.Namespace) -> int:
    if _keyring(parsed).forget(parsed.agent):
        return _OK
    return _fail(f'wanted an agent that has enrolled, found {parsed.agent}')


def _fail(why: str) -> int:
    print(f'{_PROG}: {why}', file=sys.stderr)
    return _USAGE
