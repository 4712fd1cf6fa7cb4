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

"""The keys of hosts: replacement, revocation and loss."""

from collections.abc import Iterable
from collections.abc import Mapping
import enum
import logging
import time
import typing

import sqlalchemy as sa

from nova_isolation.attestation.keylime import registrar_api
from nova_isolation.attestd.evidence import refusal
from nova_isolation.attestd.evidence import store as stores
from nova_isolation.evidence import envelope
from nova_isolation.evidence import errors as bad
from nova_isolation.evidence import key_event
from nova_isolation.evidence import statement as statements
from nova_isolation.model import printable

LOG = logging.getLogger(__name__)

_MAX_WORDS = 255
_MAX_NAME = 255

_KEYS = stores.KEYS.c


class State(enum.Enum):
    """Whether a key may sign."""

    ACTIVE = 'active'
    #: The host has enrolled another one since then.
    REPLACED = 'replaced'
    #: An administrator has revoked it. It is never taken again.
    REVOKED = 'revoked'
    #: The verifier found that its host has failed. It can be enrolled again.
    LOST = 'lost'


_EVENTS = {
    State.REPLACED: key_event.Event.REPLACED,
    State.REVOKED: key_event.Event.REVOKED,
    State.LOST: key_event.Event.LOST,
}


class Key(typing.NamedTuple):
    """A key of a host; see the columns of
    :data:`nova_isolation.attestd.evidence.store.KEYS`.
    """

    key_id: str
    kind: statements.KeyKind
    public: str
    host: str
    agent: str
    state: State
    since: int
    why: str


class Keyring:
    """The keys in the storage, which other processes may change as well."""

    def __init__(self, store: stores.Store) -> None:
        """:param store: where they are"""
        self._store = store

    def all(self) -> list[Key]:
        """Return all keys, those of one host together."""
        return self._read(
            sa.select(stores.KEYS).order_by(_KEYS.host, _KEYS.since)
        )

    def find(self, key_ids: Iterable[str]) -> dict[str, Key]:
        """Return the keys that are known, by their ids."""
        return {
            one.key_id: one
            for one in self._read(
                sa.select(stores.KEYS).where(_KEYS.key_id.in_(set(key_ids)))
            )
        }

    def add_file(self, host: str, pem: str) -> str:
        """Take a key in a file, which the administrator has brought.

        :param host: the name of the compute service
        :param pem: the public key
        :returns: the id of the key
        :raises nova_isolation.attestd.evidence.refusal.Refused: it is no key,
            or was revoked
        """
        try:
            found = envelope.trusted(pem.encode())
        except bad.BadEvidence as error:
            raise refusal.Refused(refusal.Code.KEY_FORM, str(error)) from error
        if not host or len(host) > _MAX_NAME:
            raise refusal.Refused(
                refusal.Code.MALFORMED, f'the name of a host: {host!r}'
            )
        self.enroll(
            Key(
                found.keyid,
                statements.KeyKind.FILE,
                found.keyval['public'],
                host,
                '',
                State.ACTIVE,
                int(time.time()),
                'added by an administrator',
            )
        )
        return found.keyid

    def enroll(
        self, key: Key, tpm: registrar_api.TpmKeys | None = None
    ) -> None:
        """Store a key, in place of the other ones of its host.

        :param tpm: the keys to which the agent is pinned from now on
        :raises nova_isolation.attestd.evidence.refusal.Refused: the key was
            revoked, or belongs to another host
        """
        with self._store.begin() as connection:
            known = self._row(connection, key.key_id)
            if known is not None and known.state is State.REVOKED:
                raise refusal.Refused(
                    refusal.Code.KEY_REVOKED,
                    f'key {key.key_id} was revoked: {known.why}; make '
                    'another one',
                )
            if known is not None and (known.kind, known.agent, known.host) != (
                key.kind,
                key.agent,
                key.host,
            ):
                raise refusal.Refused(
                    refusal.Code.KEY_FORM,
                    f'key {key.key_id} belongs to {known.kind.value} '
                    f'{known.host} {known.agent}',
                )
            owner = (
                _KEYS.agent == key.agent
                if key.agent
                else (_KEYS.host == key.host)
            )
            self._end(
                connection,
                sa.and_(
                    owner,
                    _KEYS.kind == key.kind.value,
                    _KEYS.state == State.ACTIVE.value,
                    _KEYS.key_id != key.key_id,
                ),
                State.REPLACED,
                f'replaced by {key.key_id}',
            )
            connection.execute(
                sa.delete(stores.KEYS).where(_KEYS.key_id == key.key_id)
            )
            connection.execute(
                sa.insert(stores.KEYS).values(
                    **key._asdict()
                    | {'kind': key.kind.value, 'state': key.state.value}
                )
            )
            _note(connection, key, key_event.Event.ENROLLED)
            if tpm is not None and self._pin(connection, key.agent) is None:
                connection.execute(
                    sa.insert(stores.PINS).values(
                        agent=key.agent, ek=tpm.ek, ak=tpm.ak
                    )
                )
        LOG.info(
            'Key %s (%s) of host %s, agent %s, is taken: %s',
            key.key_id,
            key.kind.value,
            printable.one_line(key.host),
            printable.one_line(key.agent),
            key.why,
        )

    def revoke(self, key_id: str, why: str) -> bool:
        """Revoke a key for ever, whatever its state.

        :returns: whether there is such a key
        """
        with self._store.begin() as connection:
            return bool(
                self._end(
                    connection, _KEYS.key_id == key_id, State.REVOKED, why
                )
            )

    def lose(self, fallen: Mapping[str, str]) -> None:
        """End the keys of hosts that have failed.

        :param fallen: agent -> why
        """
        for agent, why in fallen.items():
            with self._store.begin() as connection:
                lost = self._end(
                    connection,
                    sa.and_(
                        _KEYS.agent == agent,
                        _KEYS.state == State.ACTIVE.value,
                    ),
                    State.LOST,
                    why,
                )
            if lost:
                LOG.warning(
                    'The key of agent %s is lost, because the host has '
                    'failed: %s. The host must enroll its key again when it '
                    'is in good standing',
                    printable.one_line(agent),
                    printable.one_line(why),
                )

    def _end(
        self,
        connection: sa.Connection,
        which: sa.ColumnElement[bool],
        state: State,
        why: str,
    ) -> int:
        """Let keys enter a state in which they may not sign.

        :returns: how many
        """
        ended = [
            _key(row)._replace(
                state=state,
                since=int(time.time()),
                why=printable.one_line(why)[:_MAX_WORDS],
            )
            for row in connection.execute(
                sa.select(stores.KEYS).where(which)
            ).all()
        ]
        for one in ended:
            connection.execute(
                sa.update(stores.KEYS)
                .where(_KEYS.key_id == one.key_id)
                .values(state=state.value, since=one.since, why=one.why)
            )
            _note(connection, one, _EVENTS[state])
        return len(ended)

    def forget(self, agent: str) -> bool:
        """Forget the keys of a TPM to which an agent is pinned.

        :returns: whether it was pinned
        """
        with self._store.begin() as connection:
            return bool(
                connection.execute(
                    sa.delete(stores.PINS).where(stores.PINS.c.agent == agent)
                ).rowcount
            )

    def check_pin(self, agent: str, tpm: registrar_api.TpmKeys) -> None:
        """Refuse other keys of a TPM than at the first enrollment.

        :raises nova_isolation.attestd.evidence.refusal.Refused: they differ
        """
        with self._store.begin() as connection:
            pinned = self._pin(connection, agent)
        if pinned is None or pinned == tpm:
            return
        which = 'endorsement' if pinned.ek != tpm.ek else 'attestation'
        raise refusal.Refused(
            refusal.Code.PIN,
            f'agent {agent}: wanted the {which} key of its first enrollment, '
            'found that the registrar has another one. If the TPM or the '
            'agent was replaced, run nova-isolation-evidence keys forget '
            f'{agent}',
        )

    def _pin(
        self, connection: sa.Connection, agent: str
    ) -> registrar_api.TpmKeys | None:
        row = connection.execute(
            sa.select(stores.PINS.c.ek, stores.PINS.c.ak).where(
                stores.PINS.c.agent == agent
            )
        ).one_or_none()
        return None if row is None else registrar_api.TpmKeys(*row)

    def _row(self, connection: sa.Connection, key_id: str) -> Key | None:
        row = connection.execute(
            sa.select(stores.KEYS).where(_KEYS.key_id == key_id)
        ).one_or_none()
        return None if row is None else _key(row)

    def _read(self, query: sa.Select[typing.Any]) -> list[Key]:
        with self._store.begin() as connection:
            return [_key(row) for row in connection.execute(query).all()]


def _note(connection: sa.Connection, key: Key, event: key_event.Event) -> None:
    """Have the log tell what became of a key."""
    entry = key_event.KeyEvent(
        event,
        key.public,
        key.key_id,
        key.kind,
        printable.one_line(key.host)[:_MAX_NAME],
        printable.one_line(key.agent)[:_MAX_NAME],
        key.since,
        key.why,
    )
    connection.execute(
        sa.insert(stores.KEY_EVENTS).values(
            time=key.since, entry=key_event.dumps(entry).decode('ascii')
        )
    )


def _key(row: typing.Any) -> Key:
    found = Key(*row)
    return found._replace(
        kind=statements.KeyKind(found.kind), state=State(found.state)
    )
