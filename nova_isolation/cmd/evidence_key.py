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

"""Make, show and enroll the key that signs the statements of this host.

The commands run on a compute host, as the user of nova-compute.
"""

import typing

import nova.conf

from nova_isolation.attester import opts
from nova_isolation.cmd import error
from nova_isolation.model import errors

if typing.TYPE_CHECKING:
    from nova_isolation.attester import key_folder

CONF = nova.conf.CONF


def add(subparsers: typing.Any) -> None:
    """Add the commands to those of ``nova-isolation-manage``.

    :param subparsers: as ``argparse`` makes them
    """
    parser = subparsers.add_parser(
        'evidence-key',
        help='make, show or enroll the key of this host for evidence',
        description=__doc__,
    )
    parser.set_defaults(run=run)
    deeds = parser.add_subparsers(dest='what', required=True)
    one = deeds.add_parser('create', help='make a key')
    one.add_argument(
        '--replace',
        action='store_true',
        help='replace the key that there is; it is lost, and the new one must '
        'be enrolled',
    )
    one.add_argument(
        '--owner-auth',
        metavar='FILE',
        default='',
        help='file with the password of the owner hierarchy of the TPM',
    )
    one.set_defaults(deed=_create)
    one = deeds.add_parser('show', help='print the id and the public key')
    one.set_defaults(deed=_show)
    one = deeds.add_parser(
        'enroll', help='have the log of attestd know the key in the TPM'
    )
    one.add_argument(
        '--agent',
        metavar='UUID',
        required=True,
        help="the UUID of this host's agent at Keylime's registrar",
    )
    one.add_argument(
        '--endorsement-auth',
        metavar='FILE',
        default='',
        help='file with the password of the endorsement hierarchy of the TPM',
    )
    one.set_defaults(deed=_enroll)


def run(given: typing.Any) -> int:
    """Carry out a command.

    :param given: the parsed arguments
    :returns: 0
    :raises nova_isolation.cmd.error.CommandError: that cannot be done
    """
    options = opts.register(CONF)
    if not options.signing_key:
        raise error.CommandError(
            '[isolation_evidence] signing_key is not set; wanted: tpm or file'
        )
    try:
        # Where no key is asked for, its libraries need not be installed.
        from nova_isolation.attester import key_folder

        given.deed(given, key_folder.KeyFolder(options))
    except (ImportError, errors.IsolationError) as failure:
        raise error.CommandError(str(failure)) from failure
    return 0


def _create(given: typing.Any, keys: 'key_folder.KeyFolder') -> None:
    keys.create(given.replace, given.owner_auth)
    _show(given, keys)


def _show(given: typing.Any, keys: 'key_folder.KeyFolder') -> None:
    public = keys.public()
    print(f'{keys.kind.value} key {public.keyid}')
    print(public.keyval['public'], end='')


def _enroll(given: typing.Any, keys: 'key_folder.KeyFolder') -> None:
    from nova_isolation.attester import log_client
    from nova_isolation.evidence import statement

    if keys.kind is not statement.KeyKind.TPM:
        raise error.CommandError(
            'Only a key in the TPM is enrolled from its host. Give the output '
            'of "evidence-key show" to an administrator of the log, who adds '
            'a key in a file there'
        )
    client = log_client.LogClient(CONF.isolation_evidence)
    challenge, credential = client.challenge(given.agent, keys.tpm_public())
    secret = keys.activate(credential, given.endorsement_auth)
    found = client.activate(challenge, secret)
    if found != keys.public().keyid:
        raise error.CommandError(
            f'The log has enrolled the key {found}, wanted '
            f'{keys.public().keyid}: make a new key with create --replace'
        )
    print(f'The log knows the key {found} of agent {given.agent}')
