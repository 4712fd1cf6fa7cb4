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

"""What the log takes: statements by keys of hosts in good standing."""

from collections.abc import Sequence
import dataclasses
import datetime
import functools
import time
import typing

from nova_isolation.attestd.evidence import keyring as keyrings
from nova_isolation.attestd.evidence import log as logs
from nova_isolation.attestd.evidence import refusal
from nova_isolation.attestd.evidence import standing
from nova_isolation.evidence import envelope
from nova_isolation.evidence import errors as bad
from nova_isolation.evidence import receipt as receipts
from nova_isolation.evidence import statement as statements
from nova_isolation.evidence import strict_json

_STATES = {
    keyrings.State.REPLACED: refusal.Code.KEY_REVOKED,
    keyrings.State.REVOKED: refusal.Code.KEY_REVOKED,
    keyrings.State.LOST: refusal.Code.KEY_LOST,
}

#: Public keys are read once: each statement of a host has the same.
_trusted = functools.lru_cache(2**14)(envelope.trusted)


class Intake:
    """Judges statements and adds those that are taken to the log."""

    def __init__(
        self,
        log: logs.Log,
        keyring: keyrings.Keyring,
        standings: standing.Standings,
        *,
        max_delay: float,
        clock_skew: float,
    ) -> None:
        """:param log: to which they are added

        :param keyring: the keys of hosts
        :param standings: of the hosts
        :param max_delay: seconds after which a statement is too old
        :param clock_skew: seconds by which clocks may differ
        """
        self._log = log
        self._keyring = keyring
        self._standings = standings
        self._max_delay = max_delay
        self._skew = clock_skew

    def take(
        self, envelopes: Sequence[object]
    ) -> list[receipts.Receipt | refusal.Refused]:
        """Add statements to the log, all that are as they must be at once.

        :param envelopes: JSON values
        :returns: for each of them its receipt, or why it is not taken
        :raises nova_isolation.attestd.evidence.store.StoreError: none is
            taken
        """
        sealed = [_read(one) for one in envelopes]
        ids = {
            one.key_id for one in sealed if isinstance(one, envelope.Sealed)
        }
        while True:
            keys = self._keyring.find(ids)
            # In the log a statement comes after the enrollment of its key,
            # and before the end of it: so the keys are those of the log.
            if not self._log.append_key_events():
                break
        # One answer for each agent and batch.
        good = functools.cache(self._standing)
        now = time.time()
        judged = [
            one
            if isinstance(one, refusal.Refused)
            else self._judge(one, keys.get(one.key_id), good, now)
            for one in sealed
        ]
        new = [one for one in judged if isinstance(one, logs.New)]
        made = iter(self._log.append(new) if new else ())
        return [
            next(made) if isinstance(one, logs.New) else one for one in judged
        ]

    def _standing(self, agent: str) -> standing.Good | refusal.Refused:
        try:
            return self._standings.of(agent)
        except refusal.Refused as error:
            return error

    def _judge(
        self,
        sealed: envelope.Sealed,
        key: keyrings.Key | None,
        good: typing.Callable[[str], standing.Good | refusal.Refused],
        now: float,
    ) -> logs.New | refusal.Refused:
        try:
            _check_key(sealed.key_id, key)
            assert key is not None  # noqa: S101  # nosec B101
            said = _open(sealed, key)
            self._check_time(said, now)
            entry = receipts.Entry(
                sealed.digest, key.public, key.key_id, key.kind, None, int(now)
            )
            if key.kind is statements.KeyKind.TPM:
                found = good(key.agent)
                if isinstance(found, refusal.Refused):
                    return found
                entry = dataclasses.replace(entry, quote_age=found.quote_age)
        except refusal.Refused as error:
            return error
        return logs.New(
            entry,
            said.subject.uuid,
            said.audience.value,
            strict_json.dumps(sealed.value).decode('ascii'),
        )

    def _check_time(self, said: statements.Statement, now: float) -> None:
        try:
            made = datetime.datetime.strptime(
                said.finished, '%Y-%m-%dT%H:%M:%S%z'
            ).timestamp()
        except ValueError:
            raise refusal.Refused(
                refusal.Code.MALFORMED, f'finished at {said.finished}'
            ) from None
        # The time of a statement has no fractions.
        if not -self._skew - 1 <= now - made <= self._max_delay:
            raise refusal.Refused(
                refusal.Code.LATE,
                f'wanted a statement of the last {self._max_delay:.0f} s '
                f'([evidence] max_delay), found one that is '
                f'{now - made:.0f} s old; compare the clocks',
            )


def _read(value: object) -> envelope.Sealed | refusal.Refused:
    try:
        if not isinstance(value, dict):
            raise bad.BadEvidence(bad.Code.ENVELOPE, 'wanted an envelope')
        return envelope.read(value)
    except bad.BadEvidence as error:
        return refusal.Refused(refusal.Code.MALFORMED, str(error))


def _check_key(key_id: str, key: keyrings.Key | None) -> None:
    if key is None:
        raise refusal.Refused(
            refusal.Code.KEY_UNKNOWN,
            f'wanted a key that is enrolled, found {key_id}; enroll it',
        )
    if key.state is not keyrings.State.ACTIVE:
        raise refusal.Refused(
            _STATES[key.state],
            f'wanted an active key, found {key_id}, which is '
            f'{key.state.value}: {key.why}',
        )


def _open(sealed: envelope.Sealed, key: keyrings.Key) -> statements.Statement:
    """Verify the signature, and that the statement is the key's host's."""
    try:
        said = sealed.open([_trusted(key.public.encode())])
    except bad.BadEvidence as error:
        code = (
            refusal.Code.SIGNATURE
            if error.code is bad.Code.SIGNATURE
            else refusal.Code.MALFORMED
        )
        raise refusal.Refused(code, str(error)) from error
    found = said.host
    wanted = key.kind, key.host, key.agent
    if said.key is not key.kind or (
        found is not None
        and (
            (key.host and found.name != key.host)
            or (key.agent and found.agent != key.agent)
        )
    ):
        raise refusal.Refused(
            refusal.Code.HOST,
            f'wanted a statement by {_words(*wanted)}, found one by '
            + _words(
                said.key,
                found.name if found else '',
                (found.agent if found else None) or '',
            ),
        )
    return said


def _words(kind: statements.KeyKind, host: str, agent: str) -> str:
    return f'a key of kind {kind.value}, host {host!r}, agent {agent!r}'
