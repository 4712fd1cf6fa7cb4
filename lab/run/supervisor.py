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
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import json
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

T = TypeVar('T')
_TAIL_LINES = 25


@dataclasses.dataclass(frozen=True)
class Daemon:
    """A process that runs in the background."""

    name: str
    pid: int
    #: See processes.start_ticks.
    ticks: int | None
    #: Whether signals go to its children too, because it does not end them.
    group: bool = False

    def alive(self) -> bool:
        """Whether it still runs."""
        return (
            self.ticks is not None
            and processes.start_ticks(self.pid) == self.ticks
        )


class Supervisor:
    """The processes of the lab in one state folder."""

    def __init__(self, layout: layouts.Layout) -> None:
        self._layout = layout
        self._interrupted = threading.Event()
        # Python warns about a Popen that is dropped while its process runs.
        self._children: dict[int, subprocess.Popen[bytes]] = {}

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
    ) -> Daemon:
        """Start a daemon, with its output in ``log/NAME.log``.

        :param group: whether stop() ends its children too
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
        daemon = Daemon(
            name, child.pid, processes.start_ticks(child.pid), group
        )
        layouts.write(
            self._record(name), json.dumps(dataclasses.asdict(daemon))
        )
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
        daemon = self.start(name, argv, environment)
        child = self._children[daemon.pid]
        try:
            self.wait(name, lambda: child.poll() is not None, seconds)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
            self._record(name).unlink()
        if child.returncode:
            raise errors.LabError(
                f'{name} failed with exit status {child.returncode}'
                + self.tail(name)
            )

    def output(
        self,
        argv: Sequence[str | Path],
        seconds: float = 60,
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
                f'{argv[0]} has not ended after {seconds} s'
            ) from error

    def wait(
        self,
        what: str,
        test: Callable[[], T | None],
        seconds: float,
        daemon: Daemon | None = None,
        every: float = 0.1,
    ) -> T:
        """Wait until ``test`` returns a true value.

        :param what: what is waited for, for the error message
        :param daemon: a process without which waiting is useless
        :param every: seconds between two calls of ``test``
        :returns: that value
        :raises LabError: after ``seconds``, or when the daemon has died
        """
        end = time.monotonic() + seconds
        while True:
            self._check_interrupted(what)
            result = test()
            if result:
                return result
            if daemon is not None and not daemon.alive():
                raise errors.LabError(
                    f'{daemon.name} died while the lab waited for {what}'
                    + self.tail(daemon.name)
                )
            if time.monotonic() > end:
                tail = self.tail(daemon.name) if daemon is not None else ''
                raise errors.LabError(
                    f'timed out after {seconds} s waiting for {what}{tail}'
                )
            self._interrupted.wait(every)

    def log(self, name: str) -> Path:
        """The path of the log of a daemon or step."""
        return self._layout.log / f'{name}.log'

    def tail(self, name: str) -> str:
        """The end of a log as part of an error message."""
        log = self.log(name)
        if not log.exists():
            return ''
        lines = log.read_text(encoding='utf-8', errors='replace').splitlines()
        shown = ''.join(f'\n    {line}' for line in lines[-_TAIL_LINES:])
        return f'; the end of {log}:{shown}'

    def daemons(self) -> dict[str, Daemon]:
        """The daemons that were started and not stopped, by name.

        A daemon that died by itself is among them.
        """
        found = {}
        for record in sorted(self._layout.run.glob('*.json')):
            values = json.loads(record.read_text(encoding='utf-8'))
            found[values['name']] = Daemon(**values)
        return found

    def stop(self, names: Iterable[str], seconds: float) -> None:
        """Stop daemons, all at once.

        They get SIGTERM; those that have not ended after ``seconds`` are
        killed. A name without a daemon is ignored.
        """
        known = self.daemons()
        todo = [known[name] for name in names if name in known]
        for daemon in todo:
            self._signal(daemon, signal.SIGTERM)
        end = time.monotonic() + seconds
        while any(daemon.alive() for daemon in todo):
            if time.monotonic() > end:
                self._kill([daemon for daemon in todo if daemon.alive()])
                break
            time.sleep(0.05)
        for daemon in todo:
            child = self._children.pop(daemon.pid, None)
            if child is not None:
                child.poll()
            self._record(daemon.name).unlink(missing_ok=True)

    def _kill(self, daemons: Sequence[Daemon]) -> None:
        for daemon in daemons:
            self._signal(daemon, signal.SIGKILL)
        processes.kill([daemon.pid for daemon in daemons], 5)

    @staticmethod
    def _signal(daemon: Daemon, number: int) -> None:
        if daemon.alive():
            try:
                # The daemon leads a session, and so a process group.
                if daemon.group:
                    os.killpg(daemon.pid, number)
                else:
                    os.kill(daemon.pid, number)
            except ProcessLookupError:
                return

    def _record(self, name: str) -> Path:
        return self._layout.run / f'{name}.json'

    def _check_interrupted(self, what: str) -> None:
        if self._interrupted.is_set():
            raise errors.LabError(f'{what} was interrupted')
