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
import typing

from nova.scheduler.client import report
from oslo_log import log as logging

from nova import context as nova_context

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
