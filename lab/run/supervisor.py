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

"""Starts, waits for and stops the processes of a lab.

Only this module starts processes. Each daemon has a record, a small file in
the lab's ``run`` folder, so that one command can stop what another started.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import os
from pathlib import Path
import signal
import subprocess  # nosec B404: this is what the module is for
import threading
import time
from typing import TypeVar

from lab.run import errors
from lab.run import layout as layouts
from lab.run import processes
from lab.run import records

T = TypeVar('T')
_TAIL_LINES = 25
#: A kernel that panics prints about so many lines.
_DEATH_LINES = 60
#: The limit for a short program, on a machine that others share.
_PROGRAM_SECONDS = 180.0
#: How often, in seconds, a wait looks whether all daemons run.
_LOOK_SECONDS = 1.0
#: What depends on a daemon that has died may end before the daemon's own end
#: is seen, on a busy machine by this long, and may die of it a little later.
_BEFORE_SECONDS, _AFTER_SECONDS = 3.0, 1.0


class Supervisor:
    """The processes of the lab in one state folder."""

    def __init__(self, layout: layouts.Layout) -> None:
        self._layout = layout
        self._interrupted = threading.Event()
        # Python warns about a Popen that is dropped while its process runs.
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._records = records.Records(layout.run)

    def interrupt(self) -> None:
        """Make every wait and every start fail from now on."""
        self._interrupted.set()

    def resume(self) -> None:
        """Undo interrupt()."""
        self._interrupted.clear()

    def environment(
        self, more: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """The environment of the lab's processes.

        It contains little of the caller's, and the mark of the lab.
        """
        path = [str(layouts.BIN), '/usr/sbin', '/usr/bin', '/sbin', '/bin']
        return {
            'HOME': str(self._layout.state),
            'LC_ALL': 'C.UTF-8',
            'PATH': ':'.join(path),
            'PYTHONWARNINGS': 'ignore',
            processes.TAG: str(self._layout.state),
            **(more or {}),
        }

    def start(
        self,
        name: str,
        argv: Sequence[str | Path],
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        group: bool = False,
        ends: bool = False,
    ) -> records.Daemon:
        """Start a daemon, with its output in ``log/NAME.log``.

        :param group: whether stop() ends its children too
        :param ends: whether it ends by itself. The death of any other daemon
            ends every wait.
        """
        self._check_interrupted(name)
        with self.log(name).open('ab') as log:
            # A session of its own keeps Ctrl-C from the daemon: only the
            # supervisor gets it, and stops the daemons in their order.
            child = subprocess.Popen(  # noqa: S603  # nosec B603
                [os.fspath(word) for word in argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment(environment),
                cwd=folder or self._layout.state,
                start_new_session=True,
            )
        self._children[child.pid] = child
        daemon = records.Daemon(
            name, child.pid, processes.start_ticks(child.pid), group, ends
        )
        self._records.write(daemon)
        return daemon

    def run(
        self,
        name: str,
        argv: Sequence[str | Path],
        seconds: float,
        environment: Mapping[str, str] | None = None,
        nice: int = 0,
    ) -> None:
        """Run a program to its end, with its output in ``log/NAME.log``.

        :param seconds: how long it may take
        :param nice: what to add to its niceness
        :raises LabError: when it fails or does not end
        """
        if nice:
            argv = ['nice', '-n', str(nice), *argv]
        daemon = self.start(name, argv, environment, ends=True)
        child = self._children[daemon.pid]
        try:
            self.wait(name, lambda: child.poll() is not None, seconds)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
            self._records.forget(name)
        if child.returncode:
            raise errors.LabError(
                f'{name} failed with exit status {child.returncode}'
                + self.tail(name)
            )

    def output(
        self,
        argv: Sequence[str | Path],
        seconds: float = _PROGRAM_SECONDS,
        text: str = '',
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a short program and return what it printed.

        :param text: its standard input
        :param environment: what to add to its environment
        :raises LabError: when it does not end in time
        """
        try:
            return subprocess.run(  # noqa: S603  # nosec B603
                [os.fspath(word) for word in argv],
                input=text,
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
                env=self.environment(environment),
                cwd=folder,
            )
        except subprocess.TimeoutExpired as error:
            raise errors.LabError(
                f'{argv[0]} has not ended after {seconds:.0f} s'
            ) from error

    def wait(
        self,
        what: str,
        test: Callable[[], T | None],
        seconds: float,
        daemon: records.Daemon | None = None,
        every: float = 0.1,
        instead: Callable[[], object] | None = None,
    ) -> T:
        """Wait until ``test`` returns a true value.

        The wait ends as well when any daemon of the lab has died.

        :param what: what is waited for, for the error message
        :param daemon: the process that is waited for, whose log is shown; its
            death is noticed even if it ends by itself
        :param every: seconds between two calls of ``test``
        :param instead: says for the error message what was found instead
        :returns: that value
        :raises DiedError: when a daemon has died
        :raises LabError: after ``seconds``
        """
        end = time.monotonic() + seconds
        look = 0.0
        while True:
            self._check_interrupted(what)
            try:
                result = test()
            except Exception:
                # Its own error often only says that nobody answered.
                self.check(what, settle=True)
                raise
            if result:
                return result
            now = time.monotonic()
            if now >= look:
                self.check(what)
                look = now + _LOOK_SECONDS
            if daemon is not None and not daemon.alive():
                self.check(what)
                raise errors.DiedError(
                    f'{daemon.name} died while the lab waited for {what}'
                    + self.tail(daemon.name, _DEATH_LINES),
                    [daemon.name],
                )
            if now > end:
                found = f'; found {instead()}' if instead is not None else ''
                tail = self.tail(daemon.name) if daemon is not None else ''
                raise errors.LabError(
                    f'timed out after {seconds:.0f} s waiting for {what}'
                    f'{found}{tail}'
                )
            self._interrupted.wait(every)

    def check(self, what: str = '', settle: bool = False) -> None:
        """Check that every daemon runs that was started and not stopped.

        :param what: what the lab waits for, if anything
        :param settle: whether something has failed that a death may explain,
            which is looked for a little longer
        :raises DiedError: when daemons have died; the message has the end of
            the log of each of them
        """
        end = time.monotonic() + (_BEFORE_SECONDS if settle else 0)
        while not self._records.dead():
            if time.monotonic() >= end:
                return
            time.sleep(0.1)
        time.sleep(_AFTER_SECONDS)
        dead = self._records.dead()
        if dead:
            when = f' while the lab waited for {what}' if what else ''
            raise errors.DiedError(
                f'{", ".join(dead)} died{when}'
                + ''.join(self.tail(name, _DEATH_LINES) for name in dead),
                dead,
            )

    def log(self, name: str) -> Path:
        """The path of the log of a daemon or step."""
        return self._layout.log / f'{name}.log'

    def tail(self, name: str, count: int = _TAIL_LINES) -> str:
        """The last ``count`` lines of a log as part of an error message."""
        log = self.log(name)
        if not log.exists():
            return ''
        lines = log.read_text(encoding='utf-8', errors='replace').splitlines()
        if not lines:
            return f'; {log} is empty'
        shown = ''.join(f'\n    {line}' for line in lines[-count:])
        return f'; the end of {log}:{shown}'

    def daemons(self) -> dict[str, records.Daemon]:
        """The daemons that were started and not stopped, by name.

        A daemon that died by itself is among them.
        """
        return self._records.read()

    def stop(self, names: Iterable[str], seconds: float) -> None:
        """Stop daemons, all at once.

        They get SIGTERM; those that have not ended after ``seconds`` are
        killed. A name without a daemon is ignored.
        """
        with self._ending(names) as todo:
            for daemon in todo:
                self._signal(daemon, signal.SIGTERM)
            end = time.monotonic() + seconds
            while any(daemon.alive() for daemon in todo):
                if time.monotonic() > end:
                    self._kill([daemon for daemon in todo if daemon.alive()])
                    break
                time.sleep(0.05)

    def kill(self, name: str) -> None:
        """Kill a daemon (SIGKILL) that is not to be taken for a dead one."""
        with self._ending([name]) as todo:
            self._kill(todo)

    @contextlib.contextmanager
    def _ending(self, names: Iterable[str]) -> Iterator[list[records.Daemon]]:
        with self._records.ending(names) as todo:
            yield todo
            for daemon in todo:
                child = self._children.pop(daemon.pid, None)
                if child is not None:
                    child.poll()

    def _kill(self, daemons: Sequence[records.Daemon]) -> None:
        for daemon in daemons:
            self._signal(daemon, signal.SIGKILL)
        processes.kill([daemon.pid for daemon in daemons], 5)

    @staticmethod
    def _signal(daemon: records.Daemon, number: int) -> None:
        if daemon.alive():
            try:
                # The daemon leads a session, and so a process group.
                if daemon.group:
                    os.killpg(daemon.pid, number)
                else:
                    os.kill(daemon.pid, number)
            except ProcessLookupError:
                return

    def _check_interrupted(self, what: str) -> None:
        if self._interrupted.is_set():
            raise errors.LabError(f'{what} was interrupted')
