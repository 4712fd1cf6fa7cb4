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

"""What Nova does not tell placement by itself."""

from collections.abc import Iterable
from collections.abc import Mapping
import threading
import typing

from nova.scheduler.client import report
from oslo_log import log as logging

from nova import context as nova_context
from nova import exception as nova_exception
from nova import objects

LOG = logging.getLogger(__name__)


def release(context: typing.Any, instance: typing.Any) -> None:
    """Give back what a refused new guest holds on this host.

    Nova does that itself before it tries the next host, but not where there
    is none to try (``az:host``): after a RescheduledByPolicyException without
    retry information the allocation stays until the user deletes the server
    (nova.compute.manager, ``build_and_run_instance``: FAILED_BY_POLICY).
    Only for an instance that is being built: any other keeps its
    allocation.
    """
    try:
        report.report_client_singleton().delete_allocation_for_instance(
            context, instance.uuid, force=True
        )
    except Exception:
        # Placement is away. The refusal stands; the allocation goes with
        # the server.
        LOG.warning(
            'Could not release the allocation of a refused guest',
            exc_info=True,
            instance=instance,
        )


class KeptAllocations:
    """Allocations that Nova drops although the server stays on its host.

    When a rebuild in place fails, Nova deletes the allocation as if it had
    been an evacuation to this host (nova.compute.manager,
    ``rebuild_instance``: ``except Exception``), and the next rebuild or hard
    reboot runs a guest that placement does not know of. Nova does that after
    the driver has refused, so the allocation is put back a little later: the
    next time that this host reports its resources.
    """

    def __init__(self, host: str) -> None:
        """:param host: the name of this compute service"""
        self._host = host
        self._kept: dict[str, Mapping[str, typing.Any]] = {}
        self._lock = threading.Lock()

    def keep(
        self, instance: typing.Any, allocations: Mapping[str, typing.Any]
    ) -> None:
        """Put it back if it is gone when Nova is through with the instance.

        :param allocations: provider -> ``resources``, as Nova gave it to the
            driver. Nothing is kept of an instance that is evacuated to this
            host: it does not belong here yet.
        """
        if instance.host == self._host and allocations:
            with self._lock:
                self._kept[instance.uuid] = allocations

    def restore(self) -> None:
        """Put back what is gone. Raises nothing; what fails stays kept."""
        with self._lock:
            kept = dict(self._kept)
        for uuid, allocations in kept.items():
            try:
                settled = self._restore(uuid, allocations)
            except nova_exception.InstanceNotFound:
                settled = True
            except Exception:
                # The database or placement: the next time.
                LOG.warning(
                    'Could not put back the allocation of an instance',
                    exc_info=True,
                    instance_uuid=uuid,
                )
                settled = False
            if settled:
                with self._lock:
                    if self._kept.get(uuid) is allocations:
                        del self._kept[uuid]

    def _restore(
        self, uuid: str, allocations: Mapping[str, typing.Any]
    ) -> bool:
        """Returns whether there is nothing more to do."""
        context = nova_context.get_admin_context()
        instance: typing.Any = objects.Instance.get_by_uuid(context, uuid)
        if instance.host != self._host:
            return True
        if instance.task_state:
            return False
        client = report.report_client_singleton()
        if client.get_allocs_for_consumer(context, uuid)['allocations']:
            return True
        # Without a generation: if somebody was faster, it is refused.
        put = client.put_allocations(
            context,
            uuid,
            {
                'allocations': {
                    provider: {'resources': found['resources']}
                    for provider, found in allocations.items()
                },
                'project_id': instance.project_id,
                'user_id': instance.user_id,
                'consumer_generation': None,
            },
        )
        if put:
            LOG.info(
                'Put back the allocation that Nova had dropped when the '
                'rebuild was refused',
                instance=instance,
            )
        return bool(put)


def release_source(context: typing.Any, migration: typing.Any) -> None:
    """Give back what a guest held on the host from which it has migrated.

    Nova holds it in the name of the migration.
    """
    try:
        report.report_client_singleton().delete_allocation_for_instance(
            context, migration.uuid, consumer_type='migration', force=True
        )
    except Exception:
        LOG.warning(
            'Could not release the allocation of migration %s',
            migration.uuid,
            exc_info=True,
        )


class Announcement:
    """Makes traits known to placement that no host may have earned yet.

    A request that requires a trait which nobody ever published is an error
    to placement, and in the scheduler's log; one that no host has is not.
    """

    def __init__(self, traits: Iterable[str]) -> None:
        """:param traits: their names"""
        self._traits = sorted(traits)
        self._made = False

    def make(self) -> None:
        """Make them known, once in the life of the service."""
        if self._made:
            return
        try:
            report.report_client_singleton()._ensure_traits(
                nova_context.get_admin_context(), self._traits
            )
            self._made = True
        except Exception:
            # A convenience only, by a private method: without it the guest
            # is refused all the same.
            LOG.info('Could not announce traits to placement', exc_info=True)
