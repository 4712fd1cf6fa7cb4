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

"""Where a call runs that the kernel may not end.

Under eventlet, which nova-compute of Nova 31 to 33 runs on, all threads of
Python share one thread of the kernel. A read that hangs would stop them all,
and with them whoever waits for the read with a limit of time. So the process
says once how such a call gets a thread of the kernel.

Those threads are few, and Nova talks to libvirt on them. So only some of them
are ever used here, however many calls hang.
"""

from collections.abc import Callable
import dataclasses
import functools
import threading
import typing

T = typing.TypeVar('T')

#: Seconds that a call waits for its turn. A call takes milliseconds, so
#: whoever waits for longer waits behind calls that hang.
_TURN = 5.0


@dataclasses.dataclass(frozen=True)
class _Pool:
    """Threads of the kernel that others use too.

    :ivar run: runs a function on one of them
    :ivar count: how many calls may run at once
    :ivar turns: one for each call that may still begin
    """

    run: Callable[[Callable[[], typing.Any]], typing.Any]
    count: int
    turns: threading.Semaphore


_pool: _Pool | None = None


def use(
    run: Callable[[Callable[[], typing.Any]], typing.Any], count: int
) -> None:
    """Let calls run on a pool of threads, in this process.

    Where it is not called, a call runs on the thread that makes it.

    :param run: runs a function on a thread of the kernel and returns what the
        function returns
    :param count: how many calls may run at once
    """
    global _pool
    # What threading has is eventlet's by now, so waiting stops nobody else.
    _pool = _Pool(run, count, threading.Semaphore(count))


def call(function: Callable[..., T], *arguments: typing.Any) -> T:
    """Call a function that takes no lock and waits for no other thread.

    :param function: the function, e.g. one that reads a file
    :param arguments: what it is given
    :returns: what it returns
    :raises BlockingIOError: as many earlier calls hang as may run at once
    :raises Exception: what it raises
    """
    pool = _pool
    if pool is None:
        return function(*arguments)
    if not pool.turns.acquire(timeout=_TURN):
        raise BlockingIOError(
            f'{pool.count} reads of this host hang, so no other is tried. '
            f'Look for processes in an uninterruptible sleep (state D) and '
            f'for file systems whose server is away'
        )
    try:
        result: T = pool.run(functools.partial(function, *arguments))
        return result
    finally:
        pool.turns.release()
