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

"""Allocations and traits in placement that Nova does not take care of."""

from collections.abc import Iterable
from collections.abc import Mapping
import threading
import typing

from nova import context as nova_context
from nova import exception as nova_exception
from nova import objects
from nova.scheduler.client import report
from oslo_log import log as logging

LOG = logging.getLogger(__name__)


def release(context: typing.Any, instance: typing.Any) -> None:
    """Delete the allocation of a refused new guest on this host.

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
        # Placement is unreachable. The guest is refused all the same; its
        # allocation is deleted with the server.
        LOG.warning(
            'Could not release the allocation of a refused guest; it stays '
            'until the server is deleted',
            exc_info=True,
            instance=instance,
        )


class KeptAllocations:
    """Allocations that Nova drops although the server stays on its host.

    Works around Nova 34.0.0: when a rebuild in place fails,
    nova.compute.manager, ComputeManager.rebuild_instance, deletes the
    allocation as if the server had been evacuated to this host (its last
    ``except Exception``: ``if evacuate or scheduled_node is not None``).
    After that, the next rebuild or hard reboot runs a guest that placement
    does not know of. Nova deletes the allocation after the driver has
    refused, so the allocation is put back the next time that this host
    reports its resources. If Nova deleted it for evacuations only, this class
    could go.
    """

    def __init__(self, host: str) -> None:
        """:param host: the name of this compute service"""
        self._host = host
        self._kept: dict[str, Mapping[str, typing.Any]] = {}
        self._lock = threading.Lock()

    def keep(
        self, instance: typing.Any, allocations: Mapping[str, typing.Any]
    ) -> None:
        """Keep an allocation, to put it back if Nova deletes it.

        Nothing is kept for an instance that is evacuated to this host: it
        does not belong to this host yet.

        :param instance: Nova's instance
        :param allocations: provider -> ``resources``, as Nova gave it to the
            driver
        """
        if instance.host == self._host and allocations:
            with self._lock:
                self._kept[instance.uuid] = allocations

    def restore(self) -> None:
        """Put back the allocations that Nova has deleted. Raises nothing.

        An allocation that cannot be put back stays kept.
        """
        with self._lock:
            kept = dict(self._kept)
        for uuid, allocations in kept.items():
            try:
                settled = self._restore(uuid, allocations)
            except nova_exception.InstanceNotFound:
                settled = True
            except Exception:
                # The database or placement is unreachable.
                LOG.warning(
                    'Could not put back the allocation of an instance; this '
                    'host will try again when it reports its resources',
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
        """Put an allocation back if it is missing.

        :returns: whether there is nothing more to do
        """
        context = nova_context.get_admin_context()
        instance: typing.Any = objects.Instance.get_by_uuid(context, uuid)
        if instance.host != self._host:
            return True
        if instance.task_state:
            return False
        client = report.report_client_singleton()
        if client.get_allocs_for_consumer(context, uuid)['allocations']:
            return True
        # Without a generation, placement refuses this if another service
        # has written an allocation meanwhile.
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
                'This host put back the allocation that Nova had deleted '
                'when the rebuild was refused',
                instance=instance,
            )
        return bool(put)


def release_source(context: typing.Any, migration: typing.Any) -> None:
    """Delete the allocation on the host that a guest has migrated from.

    The consumer of that allocation is the migration.
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


class TraitCreation:
    """Creates in placement the traits that no host may have earned yet.

    If a request requires a trait that does not exist, placement answers with
    an error, which the scheduler logs. A trait that no host has is no error.
    """

    def __init__(self, traits: Iterable[str]) -> None:
        """:param traits: their names"""
        self._traits = sorted(traits)
        self._done = False

    def run(self) -> None:
        """Create the traits, once in the life of the service."""
        if self._done:
            return
        try:
            report.report_client_singleton()._ensure_traits(
                nova_context.get_admin_context(), self._traits
            )
            self._done = True
        except Exception:
            # Without the traits guests are refused all the same.
            LOG.info(
                'Could not create the isolation traits in placement',
                exc_info=True,
            )
