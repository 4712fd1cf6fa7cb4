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

"""What oslo.privsep logs while it starts a helper.

oslo.privsep logs each failed start as critical, and the words of sudo or
rootwrap beside it. A host on which the helper cannot be started tries it again
and again, so these lines are kept back: whoever starts the helper reports the
failure once, with these words.
"""

import logging
import re
import threading
import types

from oslo_privsep import daemon

#: The name of the threads on which oslo.privsep logs what a command says.
_THREAD = 'fd_logger'

#: Seconds that the words of a command that has failed may take to arrive.
_PATIENCE = 0.5

#: The path of the socket is another one each time.
_SOCKET = re.compile(r'\S*/privsep\.sock')


class PrivsepLog(logging.Filter):
    """Keeps back what one start logs, as a context manager.

    A start that succeeds logs what it always logs. The lines of other helpers
    that start at the same time are left alone.
    """

    def __init__(self) -> None:
        super().__init__()
        # Through an adapter of oslo.log, which changes the name.
        self._logger: logging.Logger = daemon.LOG.logger
        self._records: list[logging.LogRecord] = []
        self._words: list[str] = []
        self._mine: int | None = None
        self._others: frozenset[int | None] = frozenset()

    @property
    def text(self) -> str:
        """What the command has said, or how it ended; '': nothing."""
        said = self._words or [
            record.getMessage()
            for record in self._records
            if record.levelno >= logging.ERROR
        ]
        return _SOCKET.sub('privsep.sock', '; '.join(said))

    def filter(self, record: logging.LogRecord) -> bool:
        """See the base class; False: the record is kept back."""
        if record.thread == self._mine:
            self._records.append(record)
            return False
        if record.threadName == _THREAD and record.thread not in self._others:
            args = record.args
            words = args[-1] if isinstance(args, tuple) and args else ''
            self._words.append(str(words))
            return False
        return True

    def __enter__(self) -> 'PrivsepLog':
        self._mine = threading.get_ident()
        self._others = frozenset(thread.ident for thread in _threads())
        self._logger.addFilter(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        if kind is not None:
            for thread in _threads():
                if thread.ident not in self._others:
                    thread.join(_PATIENCE)
        self._logger.removeFilter(self)
        if kind is None:
            for record in self._records:
                self._logger.handle(record)


def _threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == _THREAD]
