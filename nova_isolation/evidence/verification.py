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

"""Verification of evidence, offline: what is proven, by whom, and what not.

Needs neither Nova nor a network::

    from nova_isolation.evidence import trust, verification

    verified = verification.verify(bundle, trust.loads(text), nonce)

:func:`verify` is also ``nova_isolation.evidence.verify``.
"""

import dataclasses
import datetime
import typing

from nova_isolation.evidence import envelope
from nova_isolation.evidence import errors
from nova_isolation.evidence import receipt as receipts
from nova_isolation.evidence import statement as statements
from nova_isolation.evidence import strict_json
from nova_isolation.evidence import trust as trusts

#: The largest size of a bundle, in bytes of JSON.
MAX_BYTES = 128 * 1024

#: Exit codes of commands. The guest meets its flavor, and everything asked
#: for is proven.
MET = 0
#: The evidence is not accepted.
REFUSED = 1
#: The evidence is accepted; it says that the guest does not meet its flavor.
NOT_MET = 3


@dataclasses.dataclass(frozen=True)
class Verified:
    """A statement, and who stands for it.

    :ivar statement: what the host states
    :ivar key_id: the id of the key that signed it
    :ivar log: the id of the log that has the statement; None: the key was
        trusted by itself
    :ivar entry: what the log says about it; None as well
    :ivar index: of the entry in the log; None as well
    """

    statement: statements.Statement
    key_id: str
    log: str | None = None
    entry: receipts.Entry | None = None
    index: int | None = None


def verify(
    bundle: bytes | dict[str, typing.Any],
    trust: trusts.Trust,
    nonce: str | None = None,
) -> Verified:
    """Verify a bundle: the envelope of a statement and the log's receipt.

    That a guest meets its flavor is another question, which
    :attr:`nova_isolation.evidence.statement.Statement.verified` answers.

    :param bundle: ``{"envelope": ..., "receipt": ...}``, as text or as JSON
        values; the receipt may be null
    :param trust: whom to believe
    :param nonce: what one has asked to be in the statement; None: no matter
    :raises nova_isolation.evidence.errors.BadEvidence: the bundle is
        malformed, or nobody who is trusted stands for it; the code says more
    """
    value = (
        strict_json.loads(bundle, MAX_BYTES)
        if isinstance(bundle, bytes)
        else bundle
    )
    if not isinstance(value, dict) or set(value) != {'envelope', 'receipt'}:
        raise errors.BadEvidence(
            errors.Code.ENVELOPE,
            'wanted a bundle of exactly envelope and receipt, found another '
            'document',
        )
    sealed = envelope.read(value['envelope'])
    if value['receipt'] is None:
        verified = _by_key(sealed, trust)
    else:
        verified = _by_log(sealed, receipts.loads(value['receipt']), trust)
    if nonce is not None and verified.statement.nonce != nonce:
        raise errors.BadEvidence(
            errors.Code.NONCE,
            f'wanted the nonce {nonce}, found '
            f'{verified.statement.nonce or "none"}: the statement was made '
            'for another request, perhaps an older one',
        )
    return verified


def describe(verified: Verified) -> tuple[list[str], list[str]]:
    """Say in plain words what is proven, and what is not.

    :returns: sentences about each
    """
    said, entry = verified.statement, verified.entry
    where = f'host {said.host.name}' if said.host else 'a host, not named here'
    proven = [
        f'The key {verified.key_id} signed this statement.',
        f'The statement: {where} verified the server {said.subject.uuid} '
        f'from {said.started} to {said.finished}, and found that the guest '
        + ('meets' if said.verified else 'does NOT meet')
        + ' its flavor.',
        *(f'Read and stated: {one.requirement}.' for one in said.proofs),
        *(f'NOT met: {one.requirement} ({one.code}).' for one in said.unmet),
    ]
    unproven = [
        'That what the host stated was true: a host measures itself. Whoever '
        'controls the host can state anything until its verifier notices.',
        'That the guest still runs as it did then.',
    ]
    if entry is None:
        proven.append('You trust this key by your trust file.')
        unproven.append(
            'That the host was in good standing: no log countersigned, and '
            'nobody else can know of this statement.'
        )
    else:
        proven.append(
            f'The log {verified.log} has the statement as entry '
            f'{verified.index}, taken at {_time(entry.time)}.'
        )
        unproven.append(
            'That the log still has this entry, and shows the same entries '
            'to everybody: compare its newest head with one that you kept.'
        )
        if entry.kind is statements.KeyKind.TPM:
            proven.append(
                "The key is in the TPM that the log's verifier attests, and "
                'can only sign after the launch that was approved. The last '
                f'good quote was {entry.quote_age} s old at that time.'
            )
    if said.key is statements.KeyKind.FILE:
        unproven.append(
            'That the host signed: the key is in a file, and whoever could '
            'read that file can sign anywhere. No verifier was asked.'
        )
    if said.nonce is None:
        unproven.append(
            'That the statement is an answer to you: it has no nonce.'
        )
    return proven, unproven


def report(
    bundle: bytes, trust: trusts.Trust, nonce: str | None = None
) -> tuple[int, list[str]]:
    """Verify a bundle, and say what came of it; for commands.

    :param bundle: see :func:`verify`
    :param trust: see :func:`verify`
    :param nonce: see :func:`verify`
    :returns: the exit code of a command (:data:`MET`, :data:`REFUSED` or
        :data:`NOT_MET`), and the lines that it prints
    """
    try:
        verified = verify(bundle, trust, nonce)
    except errors.BadEvidence as error:
        return REFUSED, [f'NOT ACCEPTED: {error}']
    proven, unproven = describe(verified)
    return MET if verified.statement.verified else NOT_MET, [
        'Proven:',
        *(f'  {one}' for one in proven),
        'Not proven:',
        *(f'  {one}' for one in unproven),
    ]


def _by_key(sealed: envelope.Sealed, trust: trusts.Trust) -> Verified:
    if all(one.keyid != sealed.key_id for one in trust.hosts):
        raise errors.BadEvidence(
            errors.Code.NOT_LOGGED,
            f'wanted the receipt of a log, or a key of the trust file; found '
            f'no receipt, and the key {sealed.key_id}',
        )
    return Verified(sealed.open(trust.hosts), sealed.key_id)


def _by_log(
    sealed: envelope.Sealed, receipt: receipts.Receipt, trust: trusts.Trust
) -> Verified:
    entry, _, log = receipt.open(trust.logs)
    if (entry.content, entry.key_id) != (sealed.digest, sealed.key_id):
        raise errors.BadEvidence(
            errors.Code.RECEIPT,
            'wanted the receipt of this statement, found that of another one',
        )
    if entry.kind is not statements.KeyKind.TPM and not trust.file_keys:
        raise errors.BadEvidence(
            errors.Code.KEY_KIND,
            'wanted a key in a TPM, found one in a file; the trust file may '
            'allow those (file_keys)',
        )
    statement = sealed.open([envelope.trusted(entry.key.encode())])
    if statement.key is not entry.kind:
        raise errors.BadEvidence(
            errors.Code.RECEIPT,
            f'wanted a statement by the key of kind {entry.kind.value} that '
            f'the log knows, found one that says {statement.key.value}',
        )
    return Verified(statement, sealed.key_id, log, entry, receipt.index)


def _time(seconds: int) -> str:
    at = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return f'{at:%Y-%m-%dT%H:%M:%SZ}'
