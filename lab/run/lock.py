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

"""A lock that several labs of this machine share."""

from collections.abc import Iterator
import contextlib
import fcntl
from pathlib import Path
import time

from lab.run import errors
from lab.run import progress as progresses


@contextlib.contextmanager
def held(
    folder: Path, seconds: float, what: str, progress: progresses.Progress
) -> Iterator[None]:
    """Only one of several labs builds; the others wait for it.

    :param folder: what is built there is locked
    :param seconds: longer than any build
    :param what: is built, for the message of those that wait
    :raises LabError: when it is held for longer
    """
    with (folder / 'lock').open('w') as file:
        end, told = time.monotonic() + seconds, False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                pass
            if not told:
                progress.say(f'another lab builds {what}: waiting')
                told = True
            if time.monotonic() > end:
                raise errors.LabError(
                    f'{folder / "lock"} is held for {seconds:.0f} s'
                )
            time.sleep(1)
        yield
