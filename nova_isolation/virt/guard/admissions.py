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

"""Measurements on which guests were admitted moments ago.

A new guest is decided on three times: before its image is fetched, when its
domain is defined, and when it is started and paused. Each needs facts, and a
measurement takes as long as libvirt takes to define a domain. The second
decision may use the facts of the first, for these reasons:

* Nothing runs on account of it. The guest executes its first instruction only
  after the third decision, which is made on facts that are measured after the
  guest was started, and on what is read back from the guest. Whatever changed
  after the first measurement (the emulator, the policy, a mode, what a
  verifier states) is found there, and the guest is powered off while it is
  paused.
* What the definition takes from the facts is how the guest is to be confined.
  If that has changed meanwhile, the label that is read back from the guest is
  wrong, and it is refused.
* The violations of the guests that run now count. Only the facts are those of
  the first decision, and only for seconds. A refusal is never based on them:
  then the host is measured again.
"""

import threading
import time

from nova_isolation.host import measurement

#: Seconds for which a measurement counts for the definition of its guest.
_KEEP = 5.0


class Admissions:
    """Keeps the measurement of each guest that is to be defined next."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, measurement.Measurement]] = {}
        self._lock = threading.Lock()

    def keep(self, uuid: str, measured: measurement.Measurement) -> None:
        """Keep a measurement that was made just now.

        :param uuid: the UUID of the instance that was admitted
        :param measured: the measurement
        """
        now = time.monotonic()
        with self._lock:
            # Guests that were never defined leave nothing behind.
            self._kept = {
                one: (since, kept)
                for one, (since, kept) in self._kept.items()
                if now - since <= _KEEP
            }
            self._kept[uuid] = now, measured

    def take(self, uuid: str) -> measurement.Measurement | None:
        """Return the measurement of a guest, once.

        :param uuid: the UUID of the instance
        :returns: None where there is none, or it was made too long ago
        """
        with self._lock:
            since, kept = self._kept.pop(uuid, (float('-inf'), None))
        return kept if time.monotonic() - since <= _KEEP else None
