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

"""What a process knows about the attestation of all hosts, kept fresh."""

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
from nova_isolation.mechanisms.attested import attestation_result
from nova_isolation.model import evidence

LOG = logging.getLogger(__name__)

#: Seconds before a failed fetch is repeated: the first and the longest delay.
#: Each is randomly up to a half longer or shorter; otherwise all services of a
#: cloud would ask at the same moment when the server is back.
_RETRY = (0.5, 15.0)

#: Seconds for which the end of a service waits for a fetch.
_PATIENCE = 5.0

#: The verdict about a host that the snapshot does not have.
_UNKNOWN = snapshot.Verdict('', None, None, '', '')

_Statements = dict[tuple[str, str], Mapping[str, evidence.Evidence]]


def _uptime() -> float:
    """Return the seconds since boot, including suspend."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _epoch(confirmed: tuple[float, float]) -> float:
    """Return what the clock that is never set showed at the epoch."""
    wall, uptime = confirmed
    return uptime - wall


class Refresher:
    """Keeps one snapshot, which one thread refreshes and replaces whole.

    Readers take no lock and do no I/O. A verdict that cannot be refreshed
    stays and expires, because its age is computed at each decision.
    """

    def __init__(
        self,
        from_: provider.Provider,
        *,
        max_age: float,
        clock_skew: float,
        on_change: Callable[[snapshot.Snapshot], object] | None = None,
    ) -> None:
        """:param from_: the provider that is asked
        :param max_age: seconds after which a good quote no longer counts
        :param clock_skew: seconds by which clocks may differ
        :param on_change: called with each new snapshot, on the thread that
            made the snapshot; must return quickly
        """
        self.snapshot = snapshot.Snapshot()
        #: The evidence that was made of this snapshot, by host and node.
        #: Replaced together with the snapshot.
        self._statements: _Statements = {}
        #: When an answer last confirmed our clock: by that clock, and by the
        #: clock that is never set. None: no server has answered yet.
        self._confirmed: tuple[float, float] | None = None
        #: The provider's snapshot, without revocations and our trouble.
        self._fetched = self.snapshot
        self._provider = from_
        self._max_age = max_age
        self._skew = clock_skew
        self._on_change = on_change
        self._revocations = revocations.Revocations(clock_skew)
        #: For those that replace the snapshot.
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._tried = threading.Event()
        self._pid = 0
        self._thread: threading.Thread | None = None
        weakref.finalize(self, self._stopped.set)
        os.register_at_fork(after_in_child=_reset(weakref.ref(self)))

    def clock(self, now: float) -> float:
        """Return the time by which ages are computed.

        A clock that is set back must not make an old quote young. (Answers
        of servers whose clocks then differ are not used.)

        :param now: seconds since the epoch, by the clock of this host
        """
        confirmed = self._confirmed
        if confirmed is None:
            return now
        return max(now, confirmed[0] + _uptime() - confirmed[1])

    def statements(
        self, host: str, node: str
    ) -> Mapping[str, evidence.Evidence]:
        """Return the evidence about a host, without the time of a decision.

        :param host: the name of its compute service
        :param node: the UUID of its compute node
        :returns: by the name of the mechanism; nothing before the first
            answer, because a host that is not known then may become known
        """
        # Read before the snapshot, which is replaced first: evidence of an
        # older snapshot is then never kept with a newer one.
        statements = self._statements
        found = statements.get((host, node))
        if found is None:
            found = statements[host, node] = self._evidence(host, node)
        return found

    def _evidence(
        self, host: str, node: str
    ) -> Mapping[str, evidence.Evidence]:
        if self._confirmed is None:
            return evidence.NO_EVIDENCE
        known = self.snapshot
        one = known.verdicts.get(
            host if known.by == snapshot.BY_HOST else node, _UNKNOWN
        )
        return {
            attestation_result.MECHANISM: evidence.Evidence(
                one.document,
                one.good_at,
                one.reported_at,
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
        """Return the evidence about a host, for a decision now.

        :param host: the name of its compute service
        :param node: the UUID of its compute node
        :param now: seconds since the epoch, by the clock of this host
        """
        now = self.clock(now)
        return {
            name: one.at(now)
            for name, one in self.statements(host, node).items()
        }

    def refresh(self) -> None:
        """Ask the provider now. For callers without a running thread.

        :raises nova_isolation.attestation.provider.ProviderError: the
            provider has no new snapshot
        """
        before = self._fetched
        wall, uptime = time.time(), _uptime()
        found = self._provider.fetch(before)
        if found is not before:
            # A provider of another package may return anything.
            found = snapshot.check(found)
        with self._lock:
            # The later one of two: our clock may have been set back meanwhile.
            passed = _uptime() - uptime
            self._confirmed = (
                max(time.time(), wall + passed),
                uptime + passed,
            )
            self._fetched = found
            known = self._revocations.apply(found, _epoch(self._confirmed))
            # Even without news the fetch may have ended a trouble.
            if found is not before or known != self.snapshot:
                self._swap(known)

    def revoke(self, agent: str, found: str) -> bool:
        """Revoke the trust in an agent, at once.

        :param found: the verifier's reason, in words
        :returns: whether a known host has this agent
        """
        with self._lock:
            self._revocations.add(agent, _uptime(), found)
            if self._confirmed is None or not self._revocations.has(agent):
                return False
            self._swap(
                self._revocations.apply(self.snapshot, _epoch(self._confirmed))
            )
        return True

    def start(self) -> None:
        """Start the thread, unless it runs or the service has ended.

        Each process that decides calls this, a child of a fork too.
        """
        if self._stopped.is_set():
            return
        if self._pid == os.getpid():
            return
        with self._lock:
            if self._pid == os.getpid():
                return
            self._pid = os.getpid()
            self._thread = threading.Thread(
                target=_run,
                args=(weakref.ref(self), self._stopped),
                name='isolation-attestation',
                daemon=True,
            )
            self._thread.start()

    def wait(self, seconds: float) -> None:
        """Wait until the provider was asked once, with or without success."""
        self._tried.wait(seconds)

    def stop(self) -> None:
        """End the thread, and wait for its end for a few seconds."""
        self._stopped.set()
        try:
            self._provider.close()
        except BaseException:
            # A provider of another package may raise anything, and the
            # service ends all the same.
            LOG.exception('Attestation provider could not be closed')
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(_PATIENCE)

    def _swap(self, found: snapshot.Snapshot) -> None:
        """Replace the snapshot. The caller has the lock."""
        if found is self.snapshot:
            return
        self.snapshot = found
        self._statements = {}
        if self._on_change is not None:
            try:
                self._on_change(found)
            except Exception:
                # Otherwise the thread would end, and all verdicts expire.
                LOG.exception('A new attestation snapshot was not reported')

    def _set_trouble(self, trouble: str) -> None:
        with self._lock:
            if self.snapshot.trouble != trouble:
                self._swap(dataclasses.replace(self.snapshot, trouble=trouble))

    def step(self, failures: int) -> tuple[int, float]:
        """Ask the provider once, as the thread does.

        :param failures: how many fetches in a row have failed so far
        :returns: how many have failed now, and the seconds until the next
        """
        try:
            self.refresh()
            pause = provider.check_pause(self._provider.pause)
        except BaseException as error:
            # Whatever a provider of another package raises, this thread
            # must go on. Nobody interrupts a thread by a KeyboardInterrupt.
            expected = isinstance(error, provider.ProviderError)
            words = str(error) if expected else type(error).__name__
            # A fetch that stop() cancelled is not a failure.
            if not failures and not self._stopped.is_set():
                LOG.warning(
                    'Cannot refresh attestation data; known verdicts will '
                    'expire: %s',
                    words,
                    exc_info=not expected,
                )
            self._set_trouble(words)
            wait = min(_RETRY[0] * 2 ** min(failures, 10), _RETRY[1])
            return failures + 1, wait * random.uniform(0.5, 1.5)  # noqa: S311  # nosec B311
        finally:
            self._tried.set()
        if failures:
            LOG.info('Attestation data is refreshed again')
        return 0, pause


def _run(owner: 'weakref.ref[Refresher]', stopped: threading.Event) -> None:
    failures = 0
    while True:
        refresher = owner()
        if refresher is None or stopped.is_set():
            return
        try:
            failures, wait = refresher.step(failures)
        except BaseException:
            # Nobody would notice the end of this thread until the verdicts
            # expire.
            LOG.exception('Attestation data could not be refreshed')
            failures, wait = failures + 1, _RETRY[1]
        # A reference here would keep the refresher alive.
        del refresher
        if stopped.wait(wait):
            return


def _reset(owner: 'weakref.ref[Refresher]') -> Callable[[], None]:
    """Return what a child process does, which has no thread of its parent.

    The child calls :meth:`Refresher.start` when it is ready to run threads.
    """

    def run() -> None:
        refresher = owner()
        if refresher is None or refresher._stopped.is_set():
            return
        if refresher._pid:
            # A thread of the parent may have had the lock.
            refresher._lock = threading.Lock()
            refresher._statements = {}
            refresher._stopped = threading.Event()
            refresher._tried = threading.Event()
            refresher._thread = None

    return run
