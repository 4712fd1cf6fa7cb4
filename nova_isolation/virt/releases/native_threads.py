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

"""Nova 31 to 33 run on eventlet, and on native threads only by choice.

Nova 31 and 32 call a function on a thread of the kernel with
``nova.utils.tpool_execute``; Nova 33 and newer have ``tpool_wrap`` for it.
Source: nova/utils.py of nova 31.3.1, 32.2.1, 33.0.2 and 34.0.0.
"""

from collections.abc import Callable
import os
import typing

from nova import utils
from oslo_utils import eventletutils

from nova_isolation.probes import native_thread

#: How many threads eventlet's pool has (eventlet/tpool.py).
_SIZE = 'EVENTLET_THREADPOOL_SIZE'
_DEFAULT_SIZE = '20'


class _Caller:
    def call(self, function: Callable[[], typing.Any]) -> typing.Any:
        return function()


def set_up() -> None:
    """Let what may hang run on threads of the kernel, in this process.

    It gets half of eventlet's; Nova calls libvirt on the others.
    """
    if not eventletutils.is_monkey_patched('thread'):
        return
    run = getattr(utils, 'tpool_execute', None)
    if run is None:
        run = utils.tpool_wrap(_Caller()).call
    size = int(os.environ.get(_SIZE, _DEFAULT_SIZE))
    native_thread.use(run, max(1, size // 2))
