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

"""The programs of tpm2-tools, one at a time and each with a limit of time.

Without a resource manager a TPM has three places for sessions and three for
objects, which Keylime's agent needs too. So all processes of this project
share one lock, each program opens at most one session and closes it, and
nothing is ever flushed but our own.
"""

from collections.abc import Iterator
import contextlib
import fcntl
import os
from pathlib import Path
import re
import subprocess  # nosec B404: fixed programs
import time

from nova_isolation.attester import errors

#: Seconds that one program may take; it takes some 10 ms.
_SECONDS = 10.0

#: Seconds to wait for the lock, and between two looks at it.
_LOCK_SECONDS, _LOOK = 30.0, 0.01

#: How often a program is run again after a failure that passes, and seconds
#: before the first time; the time doubles.
_RETRIES, _PAUSE = 6, 0.02

#: TPM_RC_PCR_CHANGED: somebody has extended a register, any one, between the
#: policy and the signature.
_PCR_CHANGED = 0x128

#: TPM_RC_POLICY_FAIL, without the number of the session.
_POLICY_FAIL = 0x09D

_CODE = re.compile(r'\(0x([0-9A-Fa-f]{1,8})\)')

#: How long the words of a program may be in a message.
_WORDS = 400


class ToolError(errors.AttesterError):
    """A program has failed.

    :ivar codes: the response codes of the TPM that it names
    """

    def __init__(self, text: str, codes: frozenset[int] = frozenset()) -> None:
        super().__init__(text)
        self.codes = codes

    @property
    def passes(self) -> bool:
        """Whether the same command may succeed a moment later.

        That is so for a register that was extended meanwhile, and for
        warnings (TPM 2.0 Library, part 2, "Response Code Formats"): a TPM
        without a free place, or that lost an object because somebody
        flushed it.
        """
        return bool(self.codes) and all(
            code == _PCR_CHANGED or code & 0xF80 == 0x900
            for code in self.codes
        )

    @property
    def policy_failed(self) -> bool:
        """Whether the policy of the key is not met."""
        # The bits 8 to 11 number the session: 8 and more.
        return any(code & 0x8BF == 0x800 | _POLICY_FAIL for code in self.codes)


class Tools:
    """Runs programs of tpm2-tools for one TPM."""

    def __init__(self, tcti: str, lock: Path) -> None:
        """:param tcti: how the TPM is reached, e.g. ``device:/dev/tpmrm0``
        :param lock: a file that all processes of this project lock
        """
        self._tcti = tcti
        self._lock = lock

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep the other processes of this project from the TPM meanwhile.

        :raises nova_isolation.attester.errors.AttesterError: the lock cannot
            be had in time
        """
        until = time.monotonic() + _LOCK_SECONDS
        try:
            place = os.open(self._lock, os.O_RDONLY | os.O_CREAT, 0o644)
        except OSError as error:
            raise errors.AttesterError(
                f'{self._lock} cannot be opened: {error.strerror}'
            ) from error
        try:
            while True:
                try:
                    fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        raise errors.AttesterError(
                            f'another process has held {self._lock} for '
                            f'{_LOCK_SECONDS:g} s; look for a program of '
                            'tpm2-tools that hangs'
                        ) from None
                    time.sleep(_LOOK)
            yield
        finally:
            os.close(place)

    def run(self, *command: str | Path, data: bytes = b'') -> bytes:
        """Run a program, again where the failure passes.

        :param command: the program and its arguments
        :param data: what it reads from its standard input
        :returns: its standard output
        :raises ToolError: it has failed, or has not ended in time
        """
        pause = _PAUSE
        for _ in range(_RETRIES):
            try:
                return self._once(*command, data=data)
            except ToolError as error:
                if not error.passes:
                    raise
            time.sleep(pause)
            pause *= 2
        return self._once(*command, data=data)

    def _once(self, *command: str | Path, data: bytes) -> bytes:
        name = str(command[0])
        try:
            found = subprocess.run(  # noqa: S603  # nosec B603: fixed programs
                [str(one) for one in command],
                input=data,
                capture_output=True,
                timeout=_SECONDS,
                env={
                    'PATH': os.environ.get('PATH', os.defpath),
                    'TPM2TOOLS_TCTI': self._tcti,
                    'LC_ALL': 'C',
                },
            )
        except subprocess.TimeoutExpired:
            raise ToolError(
                f'{name} has not ended within {_SECONDS:g} s'
            ) from None
        except OSError as error:
            raise ToolError(
                f'{name} cannot be run: {error.strerror}; install tpm2-tools'
            ) from error
        if found.returncode:
            raise _failure(name, found.stderr.decode('utf-8', 'replace'))
        return found.stdout


def _failure(name: str, said: str) -> ToolError:
    """Return what a program says on its standard error."""
    # The lines of the libraries below it say the same in more words.
    words = [
        line.removeprefix('ERROR: ')
        for line in said.splitlines()
        if line.startswith('ERROR: ') and 'Unable to run' not in line
    ]
    codes = (int(code, 16) for code in _CODE.findall(said))
    return ToolError(
        f'{name}: {"; ".join(words) or said}'[:_WORDS],
        # Those above are codes of the libraries, not of the TPM.
        frozenset(code for code in codes if code < 0x1000),
    )
