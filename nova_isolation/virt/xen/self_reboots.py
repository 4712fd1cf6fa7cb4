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

"""Has Nova start the guests that have rebooted themselves.

libvirt keeps the domain of such a guest (``on_reboot`` is ``preserve``), and
nothing runs in it. libvirt reports the same event as for a guest that has
powered itself off, and destroys its domain: the kept domain is the difference.
Nova would take both for a guest to stop. So the event of a kept domain does
not reach it, and Nova's own hard reboot follows, which destroys the domain and
starts a new one as on every other road.
"""

from collections.abc import Callable
import threading
import typing

from nova import context as nova_context
from nova import exception as nova_exception
from nova import objects
from nova.compute import vm_states
from nova.virt import event as virtevent
from oslo_log import log as logging

from nova_isolation.virt.guard import pending_work
from nova_isolation.virt.xen import reboot_pace

LOG = logging.getLogger(__name__)

#: Seconds before the first attempt; each further interval is twice as long,
#: up to this factor.
_INTERVAL = 0.1
_LONGEST = 300


class SelfReboots:
    """The guests that have rebooted themselves and are off."""

    def __init__(
        self,
        host: str,
        is_kept: Callable[[str], bool],
        reboot: Callable[[typing.Any, typing.Any], object],
        hand_on: Callable[[typing.Any], object],
    ) -> None:
        """:param host: the name of the compute service
        :param is_kept: whether libvirt keeps the domain of a guest that has
            ended, given its UUID; raises where libvirt cannot be asked
        :param reboot: has Nova reboot a server hard, given an admin's context
            and the instance; raises where Nova's API would refuse that
        :param hand_on: hands an event to Nova
        """
        self._host = host
        self._is_kept = is_kept
        self._reboot = reboot
        self._hand_on = hand_on
        self._pace = reboot_pace.RebootPace()
        self.work: pending_work.PendingWork[typing.Any] = (
            pending_work.PendingWork(
                'isolation-self-reboot',
                self._attempt,
                _INTERVAL,
                _LONGEST * _INTERVAL,
            )
        )

    def takes(self, event: typing.Any) -> bool:
        """Deal with an event of a guest that has rebooted itself.

        Runs on a thread of libvirt's events, and only asks libvirt there.

        :param event: an event of Nova's
        :returns: False: it is another event, which is for Nova
        """
        if not (
            isinstance(event, virtevent.LifecycleEvent)
            and event.get_transition() == virtevent.EVENT_LIFECYCLE_STOPPED
        ):
            return False
        uuid = event.get_instance_uuid()
        try:
            if not self._is_kept(uuid):
                return False
        except Exception as error:
            LOG.warning(
                'Cannot ask libvirt whether the guest has rebooted itself, so '
                'Nova takes it for one that has powered itself off: %s',
                error,
                instance_uuid=uuid,
            )
            return False
        delay = self._pace.delay(uuid)
        if not delay:
            self.work.add(uuid, event)
            return True
        LOG.info(
            'The guest has rebooted itself often, so Nova starts it anew in '
            '%d seconds only; its owner can reboot the server hard before',
            delay,
            instance_uuid=uuid,
        )
        # Not pending work: that of others would be tried less often meanwhile.
        timer = threading.Timer(delay, self.work.add, (uuid, event))
        timer.daemon = True
        timer.start()
        return True

    def _attempt(self, uuid: str, event: typing.Any) -> bool:
        """Have Nova start a guest anew, unless it does something else to it.

        :raises Exception: it is to be tried again: the database or libvirt
            cannot be asked
        """
        if not self._is_kept(uuid):
            return True
        context = nova_context.get_admin_context()
        found: typing.Any = objects.Instance
        try:
            instance = found.get_by_uuid(context, uuid)
            if instance.host != self._host:
                return True
            if instance.vm_state != vm_states.ACTIVE:
                raise nova_exception.InstanceInvalidState(
                    attr='vm_state',
                    instance_uuid=uuid,
                    state=instance.vm_state,
                    method='reboot',
                )
            LOG.info(
                'The guest has rebooted itself, so Nova starts it anew',
                instance_uuid=uuid,
            )
            self._reboot(context, instance)
        except nova_exception.InstanceNotFound:
            return True
        except (
            nova_exception.InstanceInvalidState,
            nova_exception.UnexpectedTaskStateError,
        ) as error:
            LOG.info(
                'The guest has rebooted itself and stays off, because its '
                'server is not one that Nova could reboot now: %s',
                error,
                instance_uuid=uuid,
            )
            self._hand_on(event)
        return True
