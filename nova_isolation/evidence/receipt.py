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

"""The receipt of a log for one statement: the countersignature.

The log writes an entry: which content was signed by which key, and how long
before the last good quote of the host was. The receipt is the entry, and the
proof that the entry is in the log whose head is signed. So the signature of a
head countersigns each of its entries.
"""

import dataclasses
import typing

from securesystemslib import signer as signers

from nova_isolation.evidence import envelope
from nova_isolation.evidence import errors
from nova_isolation.evidence import head as heads
from nova_isolation.evidence import merkle
from nova_isolation.evidence import statement as statements
from nova_isolation.evidence import strict_json

#: The schema of an entry.
VERSION = 1
#: The largest size of an entry, in bytes.
MAX_BYTES = 2048


@dataclasses.dataclass(frozen=True)
class Entry:
    """What the log says about a statement.

    :ivar content: the name of the statement, see
        :attr:`nova_isolation.evidence.envelope.Sealed.digest`
    :ivar key: the public key that signed, PEM
    :ivar key_id: the id of that key
    :ivar kind: where the key is
    :ivar quote_age: seconds since the last good quote of the host when the
        log took the statement. None for a key in a file: nothing was asked
        of a verifier.
    :ivar time: when the log took the statement, seconds since the epoch by
        the log's clock
    """

    content: str
    key: str
    key_id: str
    kind: statements.KeyKind
    quote_age: int | None
    time: int


@dataclasses.dataclass(frozen=True)
class Receipt:
    """A receipt, which was not verified yet.

    :ivar entry: the entry, in its one form
    :ivar index: of the entry in the log
    :ivar path: the proof of inclusion
    :ivar head: the envelope of the head, JSON values
    """

    entry: bytes
    index: int
    path: tuple[bytes, ...]
    head: dict[str, typing.Any]

    def open(
        self, keys: typing.Iterable[signers.Key]
    ) -> tuple[Entry, heads.Head, str]:
        """Verify the receipt.

        :param keys: the logs that are trusted
        :returns: the entry, the head that has it, and the id of the log's key
        :raises nova_isolation.evidence.errors.BadEvidence: no such log has
            this entry
        """
        head, log = heads.read(self.head, keys)
        if not merkle.check_inclusion(
            merkle.leaf_hash(self.entry),
            self.index,
            head.size,
            self.path,
            head.root,
        ):
            raise _bad(f'the proof of an entry in the log of {head.size}')
        return loads_entry(self.entry), head, log


def dumps_entry(entry: Entry) -> bytes:
    """Return an entry as bytes, in its one form."""
    return strict_json.dumps(
        {
            'content': entry.content,
            'key': entry.key,
            'keyid': entry.key_id,
            'kind': entry.kind.value,
            'quote_age': entry.quote_age,
            'time': entry.time,
            'v': VERSION,
        }
    )


def loads_entry(data: bytes) -> Entry:
    """Read an entry.

    :raises nova_isolation.evidence.errors.BadEvidence: it is none, or not in
        its one form
    """
    value = strict_json.loads(data, MAX_BYTES)
    try:
        entry = Entry(
            value['content'],
            value['key'],
            value['keyid'],
            statements.KeyKind(value['kind']),
            value['quote_age'],
            value['time'],
        )
        is_entry = (
            heads.is_hash(entry.content)
            and envelope.trusted(entry.key.encode()).keyid == entry.key_id
            and heads.is_number(entry.time)
            and (
                heads.is_number(entry.quote_age)
                if entry.kind is statements.KeyKind.TPM
                else entry.quote_age is None
            )
            and dumps_entry(entry) == data
        )
    except (ValueError, TypeError, LookupError, AttributeError):
        is_entry = False
    if not is_entry:
        raise _bad('an entry of a log')
    return entry


def dumps(receipt: Receipt) -> dict[str, typing.Any]:
    """Return a receipt as JSON values."""
    return {
        'entry': receipt.entry.decode('ascii'),
        'index': receipt.index,
        'path': [one.hex() for one in receipt.path],
        'head': receipt.head,
    }


def loads(value: object) -> Receipt:
    """Read a receipt. Nothing in it is verified.

    :param value: JSON values
    :raises nova_isolation.evidence.errors.BadEvidence: it is malformed
    """
    if (
        not isinstance(value, dict)
        or set(value) != {'entry', 'index', 'path', 'head'}
        or not isinstance(value['entry'], str)
        or not value['entry'].isascii()
        or not heads.is_number(value['index'])
        or not isinstance(value['path'], list)
        or len(value['path']) > merkle.MAX_PATH
        or not all(map(heads.is_hash, value['path']))
        or not isinstance(value['head'], dict)
    ):
        raise _bad('a receipt')
    return Receipt(
        value['entry'].encode('ascii'),
        value['index'],
        tuple(map(bytes.fromhex, value['path'])),
        value['head'],
    )


def _bad(wanted: str) -> errors.BadEvidence:
    return errors.BadEvidence(
        errors.Code.RECEIPT, f'wanted {wanted}, found something else'
    )
