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

"""What the compute drivers have in common: a LibvirtDriver with a guard.

Which hypervisor libvirt drives is the business of the drivers that derive from
this one: :mod:`nova_isolation.virt.driver` (QEMU) and
:mod:`nova_isolation.virt.xen.driver`.
"""

import functools
import typing

from nova.compute import task_states
from nova.compute import vm_states
import nova.conf
from oslo_log import log as logging

from nova_isolation import opts
from nova_isolation.attestation import opts as attestation_opts
from nova_isolation.attester import opts as attester_opts
from nova_isolation.mechanisms import registry
from nova_isolation.model import facts
from nova_isolation.model import traits
from nova_isolation.virt import behaviour
from nova_isolation.virt import exception
from nova_isolation.virt import signatures
from nova_isolation.virt.releases import native_threads
from nova_isolation.virt.roads import diagnostics
from nova_isolation.virt.roads import live_migration
from nova_isolation.virt.roads import placement
from nova_isolation.virt.roads import power
from nova_isolation.virt.watch import periodic_verification
from nova_isolation.virt.watch import watch_thread

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

opts.register(CONF)
attestation_opts.register(CONF)
attester_opts.register(CONF)

#: Seconds that the start of the service waits for the first statements of
#: verifiers: guests may be started right after it.
_FIRST_STATEMENTS = 5.0

#: Seconds that Nova's periodic task waits for a measurement of the host.
_MEASUREMENT = 5.0


class BaseIsolationDriver(
    power.GuardedPower,
    live_migration.GuardedLiveMigration,
    diagnostics.ExaminingDriver,
):
    """See Nova's driver for everything that is not here."""

    @functools.cached_property
    def _trait_creation(self) -> placement.TraitCreation:
        return placement.TraitCreation(registry.get().possible_traits())

    @functools.cached_property
    def _kept_allocations(self) -> placement.KeptAllocations:
        return placement.KeptAllocations(CONF.host)

    @signatures.override
    def init_host(self, host: str) -> None:
        """See Nova's driver.

        :raises nova.exception.InvalidConfiguration: Nova does not do what
            the guard rests on
        """
        native_threads.set_up()
        behaviour.check(self)
        self._attestation.start()
        super().init_host(host)
        self._attestation.wait(_FIRST_STATEMENTS)
        LOG.info(
            'nova-isolation guards this host (mode %(mode)s). Facts: '
            '%(facts)s',
            {
                'mode': CONF.isolation.mode,
                'facts': self.guard.host.renew(_MEASUREMENT).document,
            },
        )
        self._watch = watch_thread.WatchThread(
            periodic_verification.PeriodicVerification(
                host,
                self.guard,
                # The manager's periodic task; virtapi has no such method.
                lambda context: (
                    self.virtapi._compute.update_available_resource(context)
                ),
            ),
            CONF.isolation,
        )

    @signatures.override
    def cleanup_host(self, host: str) -> None:
        """See Nova's driver."""
        # Nova's step leaves what has not arrived by now to the next process.
        self._arrivals.stop()
        if self._watch is not None:
            self._watch.stop()
        if self._evidence is not None:
            self._evidence.stop()
        self._attestation.stop()
        super().cleanup_host(host)

    @signatures.override
    def emit_event(self, event: typing.Any) -> None:
        """See Nova's driver. Runs on the thread of libvirt's events."""
        # Nova's compute manager asks the database on this thread.
        self._arrivals.handle(event)
        if self._watch is not None and watch_thread.is_start(event):
            self._watch.wake(event.get_instance_uuid())
        super().emit_event(event)

    @signatures.override
    def get_available_resource(self, nodename: str) -> dict[str, typing.Any]:
        """See Nova's driver. The stats contain the facts of the host."""
        # Nova asks this first when it has dealt with the guests of its last
        # run. That is so whether or not the host can be measured now.
        self._end_start_up()
        if self._watch is not None:
            self._watch.start()
        resources: dict[str, typing.Any] = super().get_available_resource(
            nodename
        )
        # Nova does not hold its lock of the resources here.
        self.guard.host.renew(_MEASUREMENT)
        resources['stats'].update(self.guard.host.publish().stats)
        resources['stats'][facts.MODE_STAT] = CONF.isolation.mode
        self._kept_allocations.restore()
        return resources

    @signatures.override
    def update_provider_tree(
        self,
        provider_tree: typing.Any,
        nodename: str,
        allocations: typing.Any = None,
    ) -> None:
        """See Nova's driver. Of our traits the host has those that its facts
        earn, and no others.
        """
        super().update_provider_tree(
            provider_tree, nodename, allocations=allocations
        )
        # Nova holds its lock of the resources, so nothing is measured here.
        earned = self.guard.host.publish().traits
        if not self.guard.enforces:
            # A host in audit mode refuses nothing, so an enforcing scheduler
            # must not use it; an auditing scheduler does not ask for this
            # trait.
            earned -= {traits.GUARDED}
        present = {
            name
            for name in provider_tree.data(nodename).traits
            if name.startswith(traits.PREFIX)
        }
        self._trait_creation.run()
        # One by one: Nova's update of static traits drops custom ones.
        provider_tree.remove_traits(nodename, *(present - earned))
        provider_tree.add_traits(nodename, *(earned - present))

    @signatures.override
    def spawn(
        self,
        context: typing.Any,
        instance: typing.Any,
        image_meta: typing.Any,
        injected_files: typing.Any,
        admin_password: typing.Any,
        allocations: typing.Any,
        network_info: typing.Any = None,
        block_device_info: typing.Any = None,
        power_on: bool = True,
        accel_info: typing.Any = None,
    ) -> None:
        """See Nova's driver.

        :raises nova_isolation.virt.exception.GuestRefused: the guest is
            refused, before a disk or a domain is made or after the paused
            start; Nova tries the next host
        """
        request = self.guard.requests.of_instance(instance, context)
        try:
            # Before an image is fetched. In audit mode this would only
            # record each refusal twice.
            if request.wanted and self.guard.enforces:
                self.guard.admit(request)
            super().spawn(
                context,
                instance,
                image_meta,
                injected_files,
                admin_password,
                allocations,
                network_info=network_info,
                block_device_info=block_device_info,
                power_on=power_on,
                accel_info=accel_info,
            )
        except exception.GuestRefused:
            # Only for a new guest: in a rebuild, an evacuation or an
            # unshelve the instance keeps its allocation.
            if instance.vm_state == vm_states.BUILDING:
                placement.release(context, instance)
            elif instance.task_state == task_states.REBUILD_SPAWNING:
                self._kept_allocations.keep(instance, allocations)
            raise

    @signatures.override
    def _create_guest_with_network(
        self,
        context: typing.Any,
        xml: str,
        instance: typing.Any,
        network_info: typing.Any,
        block_device_info: typing.Any,
        power_on: bool = True,
        vifs_already_plugged: bool = False,
        post_xml_callback: typing.Any = None,
        external_events: typing.Any = None,
        cleanup_instance_dir: bool = False,
        cleanup_instance_disks: bool = False,
    ) -> typing.Any:
        self._made.guest = None
        try:
            return super()._create_guest_with_network(
                context,
                xml,
                instance,
                network_info,
                block_device_info,
                power_on=power_on,
                vifs_already_plugged=vifs_already_plugged,
                post_xml_callback=post_xml_callback,
                external_events=external_events,
                cleanup_instance_dir=cleanup_instance_dir,
                cleanup_instance_disks=cleanup_instance_disks,
            )
        except exception.GuestRefused:
            # Where Nova has waited for the network, it resumes the guest
            # outside of the block that cleans up after a failure. libvirt is
            # not asked whether the guest exists: it may be away.
            if self._made.guest is not None:
                self.guard.power_off(
                    self._made.guest,
                    self.guard.requests.of_instance(instance, context),
                )
                self._undo(
                    context,
                    instance,
                    network_info,
                    block_device_info,
                    cleanup_instance_dir,
                    cleanup_instance_disks,
                )
            raise
        finally:
            self._made.guest = None

    def _undo(
        self,
        context: typing.Any,
        instance: typing.Any,
        network_info: typing.Any,
        block_device_info: typing.Any,
        cleanup_instance_dir: bool,
        cleanup_instance_disks: bool,
    ) -> None:
        """Remove what Nova made here for a guest that was refused late.

        As Nova does after any other failure in _create_guest_with_network. In
        an evacuation, an unshelve or a migration Nova does not come back to
        this host for it: the instance does not belong to the host yet.
        Raises nothing.
        """
        try:
            self._cleanup(
                context,
                instance,
                network_info,
                block_device_info,
                destroy_vifs=True,
                cleanup_instance_dir=cleanup_instance_dir,
                cleanup_instance_disks=cleanup_instance_disks,
            )
            self._host.delete_secret('vtpm', instance.uuid)
        except Exception:
            # The refusal itself is what the caller must learn.
            LOG.exception(
                'This host could not remove everything that was made for a '
                'guest that it refused; the guest is powered off',
                instance=instance,
            )

    @signatures.override
    def _create_guest(
        self,
        context: typing.Any,
        xml: str,
        instance: typing.Any,
        power_on: bool = True,
        pause: bool = False,
        post_xml_callback: typing.Any = None,
    ) -> typing.Any:
        with self.guard.requests.working_on(instance, context):
            guest = super()._create_guest(
                context,
                xml,
                instance,
                power_on=power_on,
                pause=pause,
                post_xml_callback=post_xml_callback,
            )
        self._made.guest = guest
        return guest
