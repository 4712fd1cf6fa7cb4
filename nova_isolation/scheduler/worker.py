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

"""Start what a filter needs in each worker of nova-scheduler.

nova-scheduler makes its filters, and then forks its workers. Threads do not
survive a fork. Under eventlet, a thread that the child starts at once is lost
too, because oslo.service then gives the child a new hub. Nova tells its
manager in each worker when that worker runs
(nova.manager.Manager.post_start_hook), also where the service has one process
only. Filters are not told, so this module extends the hook of the manager.
"""

import functools
import typing
import weakref

from nova.scheduler import manager

from nova_isolation.attestation import service

#: What each worker starts. Filters live as long as their manager.
_ATTESTATIONS: 'weakref.WeakSet[service.Attestation]' = weakref.WeakSet()


def start_later(attestation: service.Attestation) -> None:
    """Start this attestation in each worker, when the worker runs."""
    _ATTESTATIONS.add(attestation)


def install() -> None:
    """Have Nova's scheduler start the attestations in its workers.

    Calling this again changes nothing.
    """
    plain: typing.Any = manager.SchedulerManager.post_start_hook
    if hasattr(plain, 'nova_isolation'):
        return

    @functools.wraps(plain)
    def post_start_hook(self: typing.Any) -> None:
        plain(self)
        for attestation in tuple(_ATTESTATIONS):
            attestation.start()

    post_start_hook.nova_isolation = True  # type: ignore[attr-defined]
    manager.SchedulerManager.post_start_hook = post_start_hook
