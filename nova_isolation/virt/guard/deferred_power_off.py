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

"""Guests that could not be powered off, until they are."""

import threading
import time
import typing

from oslo_concurrency import lockutils
from oslo_log import log as logging

LOG = logging.getLogger(__name__)

#: Seconds between two tries; each time twice as long, up to the factor.
_INTERVAL = 1.0
_LONGEST = 30


class DeferredPowerOff:
    """Guests that were started paused, are not proven, and are still there.

    They wait for libvirt, which was away, in a thread that lives only while
    there are any. Nova does not come back to them: it takes a failed build
    for undone, and a libvirtd that is started again keeps its guests.
    """

    def __init__(self, libvirt_host: typing.Any) -> None:
        """:param libvirt_host: Nova's Host"""
        self._libvirt = libvirt_host
        self._pending: set[str] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, uuid: str) -> None:
        """Power a guest off as soon as libvirt lets it, if it is paused."""
        with self._lock:
            self._pending.add(uuid)
            if self._thread is None:
                thread = threading.Thread(
                    target=self._run, name='isolation-power-off', daemon=True
                )
                thread.start()
                # Not before: a thread that could not start must not keep
                # the next one from it.
                self._thread = thread

    def discard(self, uuid: str) -> None:
        """The guest is started anew: what is paused now is another one."""
        with self._lock:
            self._pending.discard(uuid)

    def _run(self) -> None:
        interval = _INTERVAL
        while True:
            time.sleep(interval)
            interval = min(2 * interval, _LONGEST * _INTERVAL)
            with self._lock:
                pending = set(self._pending)
                if not pending:
                    self._thread = None
                    return
            for uuid in pending:
                try:
                    # What the compute manager holds while it works on an
                    # instance; it may be about to destroy the guest.
                    with lockutils.lock(uuid, 'nova-', blocking=False):
                        self._power_off(uuid)
                except Exception:
                    # libvirt is away still, or Nova at work.
                    LOG.debug('Will try again', exc_info=True)

    def _power_off(self, uuid: str) -> None:
        """Power a guest off, if it is there, paused, and not started anew.

        :raises Exception: it is to be tried again
        """
        import libvirt

        if uuid not in self._pending:
            return
        try:
            domain = self._libvirt.get_connection().lookupByUUIDString(uuid)
            if domain.info()[0] == libvirt.VIR_DOMAIN_PAUSED:
                domain.destroy()
                LOG.warning(
                    'Powered off a guest that was started and not verified, '
                    'now that libvirt answers',
                    instance_uuid=uuid,
                )
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                raise
        self.discard(uuid)


def may_be_started(error: BaseException) -> bool:
    """Whether a start that raised may have been done all the same.

    libvirt undoes a start that fails. Where the connection to it breaks,
    nobody knows how far it was.
    """
    import libvirt

    return isinstance(
        error, libvirt.libvirtError
    ) and error.get_error_domain() in (
        libvirt.VIR_FROM_REMOTE,
        libvirt.VIR_FROM_RPC,
    )
