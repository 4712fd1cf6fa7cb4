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

"""What a process knows of its hosts' attestation."""

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import logging
import os
import random
import threading
import time
import weakref

from nova_isolation.attestation import provider
from nova_isolation.attestation import revocations
from nova_isolation.attestation import snapshot
from nova_isolation.model import evidence

LOG = logging.getLogger(__name__)

#: The mechanism that judges it.
MECHANISM = 'attested'

#: Seconds before a fetch that failed is tried again: first and at most. Each
#: is made up to a half longer or shorter by chance, or all services of a
#: cloud would come at once when the third party is back.
_RETRY = (0.5, 15.0)

#: Seconds that the end of a service waits for a fetch.
_PATIENCE = 5.0


#: Of a host that the snapshot does not have.
_UNKNOWN = snapshot.Verdict('', None, None, '', '')

_Said = dict[tuple[str, str], Mapping[str, evidence.Statement]]


def _uptime() -> float:
    """Seconds, sleep included, by a clock that nobody sets."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Refresher:
    """Keeps one snapshot, refreshed by one thread, swapped whole.

    Readers take no lock and do no I/O. What cannot be refreshed stays and
    runs out: ages are counted when somebody asks.
    """

    def __init__(
        self,
        from_: provider.Provider,
        *,
        max_age: float,
        clock_skew: float,
        on_change: Callable[[snapshot.Snapshot], object] | None = None,
    ) -> None:
        """:param from_: who is asked
        :param max_age: seconds after which a good quote no longer counts
        :param clock_skew: seconds by which clocks may differ
        :param on_change: called with each new snapshot, on the thread that
            made it; must be quick
        """
        self.snapshot = snapshot.Snapshot()
        #: What was asked for of this snapshot. Swapped with it.
        self._said: _Said = {}
        #: When somebody last confirmed our clock: by it, and by one that is
        #: never set. None: nobody has answered yet.
        self._confirmed: tuple[float, float] | None = None
        #: As the provider said it, without revocations and our trouble.
        self._found = self.snapshot
        self._provider = from_
        self._max_age = max_age
        self._skew = clock_skew
        self._on_change = on_change
        #: Agents that were revoked before our clock was confirmed, and words.
        self._early: dict[str, str] = {}
        self._revocations = revocations.Revocations(clock_skew)
        #: For those who write.
        self._lock = threading.Lock()
        self._bell = threading.Event()
        self._asked = threading.Event()
        self._pid = 0
        self._thread: threading.Thread | None = None
        weakref.finalize(self, self._bell.set)
        os.register_at_fork(after_in_child=_restart(weakref.ref(self)))

    def clock(self, now: float) -> float:
        """The time by which ages are counted.

        A clock that is set back must not make an old quote young. Answers of
        others, whose clock then differs, are not used.

        :param now: seconds since the epoch, by the clock of this host
        """
        confirmed = self._confirmed
        if confirmed is None:
            return now
        return max(now, confirmed[0] + _uptime() - confirmed[1])

    def statements(
        self, host: str, node: str
    ) -> Mapping[str, evidence.Statement]:
        """What was said of a host.

        :param host: the name of its compute service
        :param node: the UUID of its compute node
        :returns: for the decision; nothing before the first answer, because
            what is not known then says nothing of a host
        """
        # Taken first: whoever swaps puts the snapshot there before it.
        said = self._said
        known = said.get((host, node))
        if known is None:
            known = said[host, node] = self._statements(host, node)
        return known

    def _statements(
        self, host: str, node: str
    ) -> Mapping[str, evidence.Statement]:
        if self._confirmed is None:
            return evidence.NO_STATEMENTS
        known = self.snapshot
        one = known.verdicts.get(
            host if known.by == snapshot.BY_HOST else node, _UNKNOWN
        )
        return {
            MECHANISM: evidence.Statement(
                one.document,
                one.good_at,
                one.told_at,
                self._max_age,
                self._skew,
                known.trouble,
                one.agent,
                one.verifier,
            )
        }

    def evidence(
        self, host: str, node: str, now: float
    ) -> Mapping[str, evidence.Evidence]:
        """What is said of a host, now.

        :param now: seconds since the epoch, by the clock of this host
        """
        now = self.clock(now)
        return {
            name: one.at(now)
            for name, one in self.statements(host, node).items()
        }

    def refresh(self) -> None:
        """Ask now. For whoever has no thread running.

        :raises nova_isolation.attestation.provider.ProviderError: see there
        """
        before = self._found
        wall, uptime = time.time(), _uptime()
        found: object = self._provider.fetch(before)
        if not isinstance(found, snapshot.Snapshot):
            # Anybody's provider; who reads relies on it.
            raise TypeError(f'{found!r} is no snapshot')
        with self._lock:
            # Of the two the later: it may have been set back meanwhile.
            passed = _uptime() - uptime
            self._confirmed = (
                max(time.time(), wall + passed),
                uptime + passed,
            )
            while self._early:
                agent, words = self._early.popitem()
                self._revocations.add(agent, self._confirmed[0], words)
            self._found = found
            known = self._revocations.apply(found)
            # That nothing is new can still end a trouble.
            if found is not before or known != self.snapshot:
                self._swap(known)

    def revoke(self, agent: str, found: str) -> bool:
        """Distrust an agent, at once.

        :param found: what was said about it, in words
        :returns: whether it is the agent of a host that is known
        """
        with self._lock:
            if self._confirmed is None:
                # Nobody knows what time it is.
                self._early[agent] = found
                return False
            self._revocations.add(agent, self.clock(time.time()), found)
            self._swap(self._revocations.apply(self.snapshot))
        return any(
            one.agent == agent for one in self.snapshot.verdicts.values()
        )

    def start(self) -> None:
        """Ask from now on; if that is done already, nothing."""
        if self._pid == os.getpid():
            return
        with self._lock:
            if self._pid == os.getpid():
                return
            self._pid = os.getpid()
            self._thread = threading.Thread(
                target=_run,
                args=(weakref.ref(self), self._bell),
                name='isolation-attestation',
                daemon=True,
            )
            self._thread.start()

    def wait(self, seconds: float) -> None:
        """Wait until it was asked once, with whatever success."""
        self._asked.wait(seconds)

    def stop(self) -> None:
        """End the thread. Waits for it, but not for ever."""
        self._bell.set()
        self._provider.close()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(_PATIENCE)

    def _swap(self, found: snapshot.Snapshot) -> None:
        """Under the lock: who is last has seen all that came before."""
        if found is self.snapshot:
            return
        self.snapshot = found
        self._said = {}
        if self._on_change is not None:
            try:
                self._on_change(found)
            except Exception:
                # Or the thread would end here, and all hosts run out.
                LOG.exception('A change of the attestation is not heard')

    def _note(self, trouble: str) -> None:
        with self._lock:
            if self.snapshot.trouble != trouble:
                self._swap(dataclasses.replace(self.snapshot, trouble=trouble))

    def step(self, failures: int) -> tuple[int, float]:
        """Ask once, as the thread does.

        :param failures: how many fetches before this one have failed in a
            row
        :returns: how many have now, and the seconds to wait
        """
        try:
            self.refresh()
        except Exception as error:
            # Anybody's provider: whatever it raises, this thread lives on.
            foreseen = isinstance(error, provider.ProviderError)
            # What stop() called off is no failure.
            if not failures and not self._bell.is_set():
                LOG.warning(
                    'Attestation cannot be refreshed, so what is known runs '
                    'out: %s',
                    error if foreseen else type(error).__name__,
                    exc_info=not foreseen,
                )
            self._note(str(error) if foreseen else type(error).__name__)
            wait = min(_RETRY[0] * 2 ** min(failures, 10), _RETRY[1])
            return failures + 1, wait * random.uniform(0.5, 1.5)  # noqa: S311  # nosec B311
        finally:
            self._asked.set()
        if failures:
            LOG.info('Attestation is refreshed again')
        return 0, self._provider.pause


def _run(owner: 'weakref.ref[Refresher]', bell: threading.Event) -> None:
    failures = 0
    while True:
        source = owner()
        if source is None or bell.is_set():
            return
        failures, wait = source.step(failures)
        # Or it would live as long as this thread does.
        del source
        if bell.wait(wait):
            return


def _restart(owner: 'weakref.ref[Refresher]') -> Callable[[], None]:
    """A child process has none of its parent's threads."""

    def run() -> None:
        source = owner()
        if source is None or source._bell.is_set():
            return
        if source._pid:
            # Whoever held it stayed in the parent.
            source._lock = threading.Lock()
            source._said = {}
            source._bell = threading.Event()
            source._asked = threading.Event()
            source.start()

    return run
