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

"""Nova's Guest and Host of Xen, with the guard."""

import typing

from nova import exception
from nova.virt.libvirt import config
from oslo_log import log as logging

from nova_isolation.mechanisms.xsm import reason_codes
from nova_isolation.virt import signatures
from nova_isolation.virt.guard import domain_xml
from nova_isolation.virt.guard import outcome
from nova_isolation.virt.roads import choke_points
from nova_isolation.virt.xen import disk
from nova_isolation.virt.xen import domain
from nova_isolation.virt.xen import guest
from nova_isolation.virt.xen import host

LOG = logging.getLogger(__name__)

#: The extra spec that lets no process of dom0 work for a guest.
_DEVICE_MODEL = 'isolation:xsm_device_model'


class GuardedXenGuest(choke_points.GuardedGuest, guest.XenGuest):
    """A guest of Xen that never runs before it was verified."""

    @signatures.override
    def attach_device(
        self,
        conf: typing.Any,
        persistent: bool = False,
        live: bool = False,
    ) -> None:
        """See the base class.

        :raises nova_isolation.virt.exception.GuestRefused: a QEMU in dom0
            would serve the disk, and the flavor lets no process work for the
            guest; libvirt has not been asked. Otherwise the next verification
            would find the QEMU, and close the host for other guests
        """
        if isinstance(conf, config.LibvirtConfigGuestDisk):
            disk.serve(conf)
            if conf.driver_name == disk.QEMU:
                self._let_no_process_serve(conf)
        super().attach_device(conf, persistent, live)

    @signatures.override
    def resume(self) -> None:
        """See the base class.

        :raises nova.exception.InstanceResumeFailure: the guest is paused
            still. A libvirtd that was started anew can take a paused guest
            for one that runs, and does nothing then (libxlDomainResume)
        """
        super().resume()
        try:
            paused = self._guard.hypervisor.is_paused(self)
        except Exception:
            LOG.warning(
                'The guest was resumed, and it cannot be asked whether it '
                'runs now',
                exc_info=True,
                instance_uuid=self.uuid,
            )
            return
        if paused:
            raise exception.InstanceResumeFailure(
                reason='Xen has the guest still paused. libvirt was started '
                'anew since, takes it for running and does not resume it. '
                'Reboot the server hard.'
            )

    def _let_no_process_serve(self, conf: typing.Any) -> None:
        request = self._request()
        wanted = request.wanted.get(_DEVICE_MODEL)
        if wanted is None or wanted.value != 'none':
            return
        enforces = self._guard.enforces
        self._guard.conclusions.conclude(
            outcome.Outcome(
                request=request,
                stage=outcome.Stage.DECIDE,
                result=(
                    outcome.Result.REFUSED
                    if enforces
                    else outcome.Result.RECORDED
                ),
                unmet=(
                    wanted.unmet(
                        reason_codes.DEVICE_MODEL,
                        f'a {conf.source_type} volume of the format '
                        f'{conf.driver_format}, which a QEMU would serve',
                    ),
                ),
            )
        )


class GuardedXenHost(choke_points.GuardedHost, host.XenHost):
    """A Host of Xen whose guests are guarded."""

    _guarded_guest = GuardedXenGuest

    @signatures.override
    def write_instance_config(self, xml: typing.Any) -> typing.Any:
        """See the base class. libvirt does not reboot a tagged guest."""
        text = xml.decode() if isinstance(xml, bytes) else xml
        definition = domain_xml.DomainXml(text)
        request = self._guard.requests.of_xml(definition)
        if request.wanted and self._guard.enforces:
            domain.keep_at_reboot(definition.element)
            text = domain.text(definition.element)
        return super().write_instance_config(text)
