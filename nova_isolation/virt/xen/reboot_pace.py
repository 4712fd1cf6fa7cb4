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

"""How soon a guest that has rebooted itself is started anew.

A start by Nova costs the host far more than the guest's own reboot costs the
guest. One that reboots itself all the time, out of malice or because its
kernel panics, must not keep the host busy.
"""

from collections.abc import Callable
import time

#: So many starts of one guest are not delayed ...
_AT_ONCE = 3
#: ... in so many seconds.
_WINDOW = 600.0


class RebootPace:
    """The starts of each guest in the last minutes.

    Each method is called from the thread of libvirt's events alone.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """:param clock: seconds, which never go back"""
        self._clock = clock
        self._starts: dict[str, list[float]] = {}

    def delay(self, uuid: str) -> float:
        """Count one more start of a guest.

        :returns: in how many seconds it is to be started; 0: at once
        """
        now = self._clock()
        for other in list(self._starts):
            if self._starts[other][-1] <= now - _WINDOW:
                del self._starts[other]
        starts = self._starts.get(uuid, [])
        start = now
        if len(starts) >= _AT_ONCE:
            start = max(now, starts[-_AT_ONCE] + _WINDOW)
        self._starts[uuid] = [*starts, start][-_AT_ONCE:]
        return start - now
