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

"""The whole log, read and checked by somebody who does not believe it.

Each entry is hashed, and the hashes must be those of the signed head. A
statement must be by a key that an earlier entry has enrolled, and that no
entry has ended since.
"""

from collections.abc import Iterator
import dataclasses
import datetime

from nova_isolation.evidence import errors
from nova_isolation.evidence import head as heads
from nova_isolation.evidence import kept_head
from nova_isolation.evidence import key_event
from nova_isolation.evidence import merkle
from nova_isolation.evidence import receipt as receipts
from nova_isolation.evidence import trust as trusts

#: How many entries are asked for at once.
_PAGE = 500


@dataclasses.dataclass(frozen=True)
class Audited:
    """What a log has.

    :ivar log: the id of its key
    :ivar head: the head against which it was checked
    :ivar statements: how many statements it has
    :ivar removed: how many entries have no content any more
    :ivar events: the index and the event of each entry about a key
    :ivar faults: sentences about entries that should not be there
    """

    log: str
    head: heads.Head
    statements: int
    removed: int
    events: tuple[tuple[int, key_event.KeyEvent], ...]
    faults: tuple[str, ...]


def audit(ask: kept_head.Ask, trust: trusts.Trust) -> Audited:
    """Read and check a whole log.

    :param ask: see :func:`nova_isolation.evidence.kept_head.renew`
    :param trust: the logs that are trusted
    :raises nova_isolation.evidence.errors.BadEvidence: the entries are not
        those of the head, or an answer is malformed
    """
    value = kept_head.answer(ask, '/head') or {}
    head, log = heads.read(value.get('head') or {}, trust.logs)
    leaves: list[bytes] = []
    statements = removed = 0
    events = []
    faults = []
    active: set[str] = set()
    for index, (leaf, text) in enumerate(_entries(ask, head.size)):
        leaves.append(leaf)
        if text is None:
            removed += 1
            continue
        data = text.encode('ascii', 'replace')
        if merkle.leaf_hash(data) != leaf:
            raise errors.BadEvidence(
                errors.Code.FORK,
                f'entry {index}: wanted the content with the hash '
                f'{leaf.hex()}, found another one: it was altered',
            )
        event = _event(data)
        if event is not None:
            events.append((index, event))
            if event.event is key_event.Event.ENROLLED:
                active.add(event.key_id)
            else:
                active.discard(event.key_id)
            continue
        statements += 1
        key_id = receipts.loads_entry(data).key_id
        if key_id not in active:
            faults.append(
                f'Entry {index} is a statement by the key {key_id}, which '
                'was not enrolled then.'
            )
    tree = merkle.Tree(lambda start, end: leaves[start:end])
    tree.extend(leaves)
    if tree.root() != head.root:
        raise errors.BadEvidence(
            errors.Code.FORK,
            f'wanted {head.size} entries with the hash {head.root.hex()} that '
            'the head has, found others: entries were removed or altered',
        )
    return Audited(
        log, head, statements, removed, tuple(events), tuple(faults)
    )


def describe(found: Audited) -> list[str]:
    """Say what a log has, in lines."""
    return [
        f'The log {found.log} has {found.head.size} entries, all of its head: '
        f'{found.statements} statements, {len(found.events)} about keys, '
        f'{found.removed} whose content was removed.',
        *(
            f'{_time(one.time)} entry {index}: {one.event.value} '
            f'{one.key_id} ({one.kind.value}, host {one.host or "-"}, agent '
            f'{one.agent or "-"}): {one.why}'
            for index, one in found.events
        ),
        *(f'FAULT: {one}' for one in found.faults),
    ]


def _time(seconds: int) -> str:
    at = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return f'{at:%Y-%m-%dT%H:%M:%SZ}'


def _event(data: bytes) -> key_event.KeyEvent | None:
    """Return the event that an entry is about; None: it has a statement."""
    return key_event.loads(data) if b'"event":' in data else None


def _entries(
    ask: kept_head.Ask, size: int
) -> Iterator[tuple[bytes, str | None]]:
    first = 0
    while first < size:
        count = min(_PAGE, size - first)
        value = kept_head.answer(ask, f'/entries?first={first}&count={count}')
        found = (value or {}).get('entries')
        if not isinstance(found, list) or len(found) != count:
            raise errors.BadEvidence(
                errors.Code.FORK,
                f'wanted the entries {first} to {first + count - 1}, which '
                'the head has, found fewer',
            )
        for one in found:
            if (
                not isinstance(one, dict)
                or not heads.is_hash(one.get('leaf'))
                or not isinstance(one.get('entry'), str | None)
            ):
                raise kept_head.malformed()
            yield bytes.fromhex(one['leaf']), one['entry']
        first += count
