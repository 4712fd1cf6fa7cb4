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

"""The host examines itself: could it verify a guest?

A process of libvirt's daemon is examined as that of a guest is in a
verification. The daemon is root's, and no guest can change what is seen of
it, so a failure is this host's own: a right, a namespace or a mount option.
"""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import errno
import functools
import logging

from nova_isolation.host import bounded_calls
from nova_isolation.host import libvirt_daemon
from nova_isolation.host import privileged
from nova_isolation.host import procfs
from nova_isolation.model import reasons
from nova_isolation.model import sight

LOG = logging.getLogger(__name__)

#: How many guests are looked at. One that can be seen is enough: a guest that
#: has broken out may hide its own process, and must not close the host.
_GUESTS = 3

#: What is read of each process, beside the file that it runs.
_TEXTS = ('cmdline', 'status', 'attr/current')


_NAMES = {
    sight.Sight.PROCESS: 'process',
    sight.Sight.EXECUTABLE: 'program',
}


class SelfExamination:
    """Finds out what this host cannot see, and logs each change of it."""

    def __init__(
        self, run_dir: str, proc: str = procfs.PROC, seconds: float = 10.0
    ) -> None:
        """:param run_dir: the folder of the pid files of libvirt's guests

        :param proc: where the processes are seen, ``[isolation]
            process_root``
        :param seconds: how long the look at one guest may take,
            ``[isolation] probe_timeout``
        """
        self._run_dir = run_dir
        self._proc = proc
        self._calls = bounded_calls.BoundedCalls(seconds)
        self._known: dict[sight.Sight, sight.Unseen | None] = {}

    def examine(self) -> Mapping[sight.Sight, reasons.Reason]:
        """Examine this host, now.

        :returns: what it cannot see -> why not; empty where it could verify
            a guest
        """
        result: dict[sight.Sight, reasons.Reason] = {}
        for thing, error in self._examine().items():
            self._log(thing, error)
            if error is not None:
                result[thing] = error.reason
        return result

    def _examine(self) -> dict[sight.Sight, sight.Unseen | None]:
        """Each thing, and why it cannot be seen."""
        pid = 0
        guests: list[str] = []
        unseen = None
        try:
            guests = self._newest_guests()
            pid = self._daemon()
        except OSError as error:
            unseen = self._cause(error)
        if unseen is None:
            unseen = self._why(lambda: self._read(pid)) or self._why(
                lambda: self._look_at_guests(self._read, guests)
            )
        if unseen is not None:
            # Without its process, its file cannot be seen either.
            return dict.fromkeys(sight.ALL, unseen)
        return {
            sight.Sight.PROCESS: None,
            sight.Sight.EXECUTABLE: self._why(lambda: self._identify(pid))
            or self._why(lambda: self._look_at_guests(self._identify, guests)),
        }

    def _why(self, look: Callable[[], object]) -> sight.Unseen | None:
        """Why something of libvirt's cannot be seen; None: it can."""
        try:
            look()
        except OSError as error:
            return self._cause(error)
        return None

    def _cause(self, error: OSError) -> sight.Unseen:
        if isinstance(error, sight.Unseen):
            return error
        reason = reasons.UNEXAMINED
        if isinstance(error, BlockingIOError):
            reason = reasons.READS_HANG
        elif isinstance(error, PermissionError):
            reason = reasons.HELPER_DENIED
        elif isinstance(error, TimeoutError):
            reason = reasons.HELPER_LOST
        elif isinstance(error, (FileNotFoundError, ProcessLookupError)):
            reason = reasons.LIBVIRT_UNSEEN
        return sight.Unseen(reason, str(error))

    def _newest_guests(self) -> list[str]:
        """The pid files of some guests.

        :raises OSError: they cannot be seen
        """
        try:
            return privileged.newest_pid_files(self._run_dir, _GUESTS)
        except (sight.Unseen, BlockingIOError):
            raise
        except OSError as error:
            raise sight.Unseen(reasons.PID_FILES, str(error)) from error

    def _daemon(self) -> int:
        """The process id of libvirt's daemon.

        :raises nova_isolation.model.sight.Unseen: it cannot be seen
        """
        try:
            return libvirt_daemon.find(self._run_dir, self._proc)
        except ProcessLookupError as error:
            inside = not procfs.is_initial_pid_namespace()
            raise sight.Unseen(
                reasons.PID_NAMESPACE if inside else reasons.LIBVIRT_UNSEEN,
                str(error),
            ) from error
        except FileNotFoundError as error:
            raise sight.Unseen(reasons.PID_FILES, str(error)) from error

    def _read(self, pid: int) -> None:
        for name in _TEXTS:
            try:
                privileged.read_process(pid, name, self._proc)
            except OSError as error:
                # A kernel without a security module has no labels.
                if name != 'attr/current' or error.errno != errno.EINVAL:
                    raise

    def _identify(self, pid: int) -> None:
        privileged.executable(pid, self._proc)

    def _look_at_guests(
        self, look: Callable[[int], None], guests: Sequence[str]
    ) -> None:
        """Look at some guests that run.

        :param look: looks at the process of one
        :param guests: their pid files
        :raises nova_isolation.model.sight.Unseen: some run, and none of them
            can be seen
        """
        failure: Exception | None = None
        for name in guests:
            try:
                self._calls.call(
                    (look, name), functools.partial(self._see, look, name)
                )
            except (sight.Unseen, BlockingIOError):
                raise
            except (FileNotFoundError, ProcessLookupError, ValueError):
                # It has ended, or is just beginning.
                continue
            except OSError as error:
                failure = error
            else:
                return
        if failure is not None:
            raise sight.Unseen(reasons.GUESTS_UNSEEN, str(failure))

    def _see(self, look: Callable[[int], None], path: str) -> None:
        look(int(privileged.read(path)))

    def _log(self, thing: sight.Sight, error: sight.Unseen | None) -> None:
        before = self._known.get(thing)
        self._known[thing] = error
        if (before and before.reason) == (error and error.reason):
            return
        if error is None:
            LOG.info(
                'This host can see the %s of a guest again', _NAMES[thing]
            )
            return
        LOG.warning(
            'This host cannot see the %(thing)s of a guest. It refuses '
            'flavors that need this, and stops no guest that runs. '
            '%(meaning)s %(remedy)s Found: %(error)s [%(code)s]',
            {
                'thing': _NAMES[thing],
                'meaning': error.reason.meaning,
                'remedy': error.reason.remedy,
                'error': error,
                'code': error.reason.code,
            },
        )
