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

"""Reports to the user what a lab does: one line for each step."""

from collections.abc import Iterator
import contextlib
import sys
import threading
import time


class Progress:
    """Prints lines with the seconds since the start."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """Print one line; lines of several threads do not mix."""
        seconds = time.monotonic() - self._start
        with self._lock:
            sys.stdout.write(f'[lab {seconds:5.1f}s] {text}\n')
            sys.stdout.flush()

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Print how long the body of the ``with`` took, or that it failed."""
        start = time.monotonic()
        try:
            yield
        except BaseException:
            self.say(f'{name}: FAILED after {time.monotonic() - start:.1f} s')
            raise
        self.say(f'{name}: {time.monotonic() - start:.1f} s')
