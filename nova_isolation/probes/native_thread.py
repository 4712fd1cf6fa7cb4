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
"""

from collections.abc import Callable
import functools
import typing

T = typing.TypeVar('T')


def _here(function: Callable[[], T]) -> T:
    return function()


_run: Callable[[Callable[[], typing.Any]], typing.Any] = _here


def use(run: Callable[[Callable[[], typing.Any]], typing.Any] | None) -> None:
    """Set how calls run in this process.

    :param run: runs a function on a thread of the kernel and returns what the
        function returns; None: the thread that calls is one
    """
    global _run
    _run = run or _here


def call(function: Callable[..., T], *arguments: typing.Any) -> T:
    """Call a function that takes no lock and waits for no other thread.

    :param function: the function, e.g. one that reads a file
    :param arguments: what it is given
    :returns: what it returns
    :raises Exception: what it raises
    """
    result: T = _run(functools.partial(function, *arguments))
    return result
