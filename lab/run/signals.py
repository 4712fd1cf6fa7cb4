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

"""How a lab reacts to the signals that end a program."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import signal
import threading
import types

_Handler = Callable[[int, types.FrameType | None], object] | signal.Handlers
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def termination_raises() -> Iterator[None]:
    """Make SIGTERM and SIGHUP raise SystemExit in the body of the ``with``.

    So ``finally`` and ``with`` work as they do for Ctrl-C, which raises
    KeyboardInterrupt. Only the main thread can handle signals; in another
    thread this does nothing.
    """
    with _handlers((signal.SIGTERM, signal.SIGHUP), _raise):
        yield


@contextlib.contextmanager
def ignored() -> Iterator[None]:
    """Ignore the signals, so that a second Ctrl-C does not end a clean-up."""
    with _handlers(_ENDING, signal.SIG_IGN):
        yield


def _raise(number: int, frame: types.FrameType | None) -> None:
    raise SystemExit(128 + number)


@contextlib.contextmanager
def _handlers(
    numbers: tuple[signal.Signals, ...], handler: _Handler
) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
