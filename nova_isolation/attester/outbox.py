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

"""Statements on their way to the log.

Nobody waits for them: whoever puts a statement here takes a lock for a
moment, and a thread signs and sends. While the log or the TPM is away the
newest statement of each guest waits, for a bounded number of guests.
"""

import collections
from collections.abc import Callable
import dataclasses
import threading

from oslo_log import log as logging
from securesystemslib import signer as signers

from nova_isolation.attester import errors
from nova_isolation.attester import log_client
from nova_isolation.evidence import envelope
from nova_isolation.evidence import errors as bad
from nova_isolation.evidence import statement as statements

LOG = logging.getLogger(__name__)

#: How many statements are sent at once, and how many bytes.
_BATCH, _BYTES = 100, 2 * 2**20

#: Seconds between two tries while the log or the TPM is away; they double.
_PAUSE, _LONGEST_PAUSE = 1.0, 60.0

#: Refusals that end when the host is in good standing again, its key is
#: enrolled, or the log has time: the statement waits.
_PASSING = frozenset(
    {'busy', 'key-lost', 'key-revoked', 'key-unknown', 'standing'}
)

#: The refusal of a statement that has waited too long: the guest is to be
#: stated anew.
_LATE = 'late'

#: Seconds that the end of the service waits for the thread.
_PATIENCE = 5.0

#: The guest and the audience: one statement of each waits.
Key = tuple[str, statements.Audience]


@dataclasses.dataclass(eq=False)
class _Entry:
    """A statement that waits; its identity tells it from a later one.

    :ivar envelope: b'': not signed yet
    """

    statement: statements.Statement
    envelope: bytes = b''


class Outbox:
    """Signs and sends statements on a thread that lives as long as any wait.

    :ivar dropped: how many statements were lost because too many waited
    """

    def __init__(
        self,
        signer: Callable[[], signers.Signer],
        client: log_client.LogClient,
        limit: int,
        forget: Callable[[str], object],
    ) -> None:
        """:param signer: returns what signs, or raises AttesterError
        :param client: for the log; only this object uses it
        :param limit: how many guests may have statements that wait
        :param forget: is told the UUID of a guest of which a statement was
            lost, so that there will be another
        """
        self._signer = signer
        self._client = client
        self._limit = limit * len(statements.Audience)
        self._forget = forget
        self._lock = threading.Lock()
        self._waiting: collections.OrderedDict[Key, _Entry] = (
            collections.OrderedDict()
        )
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._trouble = ''
        self.dropped = 0

    @property
    def waiting(self) -> int:
        """How many statements wait."""
        return len(self._waiting)

    def put(self, statement: statements.Statement) -> None:
        """Let a statement be signed and sent, in place of an older one.

        Does not wait for anything.
        """
        key = statement.subject.uuid, statement.audience
        lost = None
        with self._lock:
            if self._stopped.is_set():
                return
            # It keeps the place of the older one: a guest that changes all
            # the time is not put off for ever.
            self._waiting[key] = _Entry(statement)
            if len(self._waiting) > self._limit:
                lost, _ = self._waiting.popitem(last=False)
                self.dropped += 1
            if self._thread is None:
                thread = threading.Thread(
                    target=self._run, name='isolation-evidence', daemon=True
                )
                thread.start()
                # Only now: after a thread that could not start, the next
                # statement must try to start one again.
                self._thread = thread
        if lost is not None:
            self._forget(lost[0])

    def stop(self) -> None:
        """End the thread. Waits some seconds for it at most."""
        with self._lock:
            self._stopped.set()
            thread = self._thread
        self._client.close()
        if thread is not None:
            thread.join(_PATIENCE)

    def _run(self) -> None:
        pause = _PAUSE
        while not self._stopped.is_set():
            with self._lock:
                batch = list(self._waiting.items())[:_BATCH]
                if not batch:
                    self._thread = None
                    return
            try:
                trouble = self._deliver(batch)
            except Exception as error:
                # This thread must not end while something waits.
                trouble = str(error)
                if not isinstance(error, errors.AttesterError):
                    LOG.exception('Statements could not be sent')
            self._report(trouble)
            if not trouble:
                pause = _PAUSE
                continue
            self._stopped.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _report(self, trouble: str) -> None:
        """Log what is wrong, once in a row, and when it is over."""
        before, self._trouble = self._trouble, trouble
        if trouble:
            LOG.log(
                logging.DEBUG if trouble == before else logging.WARNING,
                'Statements about guests wait (%(count)d), and this host '
                'tries again; the guests are not affected: %(trouble)s',
                {'count': self.waiting, 'trouble': trouble},
            )
        elif before:
            LOG.info('Statements about guests are sent again')

    def _deliver(self, batch: list[tuple[Key, _Entry]]) -> str:
        """Sign and send.

        :returns: why statements still wait; '': none of these does
        :raises nova_isolation.attester.errors.AttesterError: none was sent
        """
        signer = self._signer()
        ready: list[tuple[Key, _Entry]] = []
        size = 0
        for key, entry in batch:
            if not entry.envelope:
                try:
                    entry.envelope = envelope.seal(entry.statement, signer)
                except bad.BadEvidence as error:
                    if error.code is bad.Code.SIGNATURE:
                        raise errors.AttesterError(
                            f'{error}; the public key is not that of the key '
                            'that signs: make and enroll a new one'
                        ) from error
                    self._lose(key, entry, str(error))
                    continue
            size += len(entry.envelope)
            if size > _BYTES:
                # The others come next.
                break
            ready.append((key, entry))
        if not ready:
            return ''
        trouble = ''
        answers = self._client.send([entry.envelope for _, entry in ready])
        for (key, entry), answer in zip(ready, answers, strict=True):
            if not isinstance(answer, log_client.Refusal):
                # The log has the receipt for whoever reads the statement.
                with self._lock:
                    self._end(key, entry)
            elif answer.code in _PASSING:
                # By then there may be another key.
                entry.envelope = b''
                trouble = str(answer)
            else:
                self._lose(key, entry, str(answer))
                if answer.code == _LATE:
                    self._forget(key[0])
        return trouble

    def _lose(self, key: Key, entry: _Entry, why: str) -> None:
        LOG.warning(
            'A statement about the guest was not taken: %s',
            why,
            instance_uuid=key[0],
        )
        with self._lock:
            self._end(key, entry)

    def _end(self, key: Key, entry: _Entry) -> None:
        # A newer one that was put meanwhile waits on.
        if self._waiting.get(key) is entry:
            del self._waiting[key]
