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
    """Let one of several labs build; the others wait.

    :param folder: the folder of the thing that is built; it gets a lock file
    :param seconds: how long to wait, longer than any build
    :param what: the thing that is built, for the message of labs that wait
    :raises LabError: when another lab has the lock for longer
    """
    with (folder / 'lock').open('w') as file:
        end, said = time.monotonic() + seconds, False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                pass
            if not said:
                progress.say(f'another lab builds {what}: waiting')
                said = True
            if time.monotonic() > end:
                raise errors.LabError(
                    f'another lab has locked {folder / "lock"} for more than '
                    f'{seconds:.0f} s: end that lab, or wait for it'
                )
            time.sleep(1)
        yield
