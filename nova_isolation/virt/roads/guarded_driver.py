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

"""Nova's libvirt driver with a guard, which all that is ours in it asks."""

from collections.abc import Mapping
import functools
import time
import typing

import nova.conf
from nova.virt.libvirt import driver as libvirt_driver

from nova.virt import node
from nova_isolation.attestation import service
from nova_isolation.attestation import snapshot
from nova_isolation.host import compute_host
from nova_isolation.mechanisms import registry
from nova_isolation.model import evidence
from nova_isolation.virt.guard import guard
from nova_isolation.virt.guard import late_fault
from nova_isolation.virt.guard import report
from nova_isolation.virt.roads import choke_points
from nova_isolation.virt.watch import watch_thread

CONF = nova.conf.CONF


class GuardedDriver(libvirt_driver.LibvirtDriver):
    """Makes the guard of this host, and what it rests on.

    The guests that Nova's Host hands out are guarded from then on.
    """

    def __init__(self, virtapi: typing.Any, read_only: bool = False) -> None:
        self._name: str = CONF.host
        self._watch: watch_thread.WatchThread | None = None
        #: mechanism -> what a third party said of this host last
        self._said: dict[str, str] = {}
        super().__init__(virtapi, read_only)
        choke_points.GuardedHost.take(self._host, self.guard)

    @functools.cached_property
    def guard(self) -> guard.Guard:
        """The guard of this host."""
        return guard.Guard(
            self._host,
            compute_host.ComputeHost(
                self._host,
                CONF,
                CONF.libvirt.virt_type,
                self._said_of_this_host,
            ),
            registry.get(),
            report.Reporter(
                CONF.host,
                late_fault.LateFaults(CONF.isolation.fault_timeout),
            ),
            self._attestation,
        )

    @functools.cached_property
    def _attestation(self) -> service.Attestation:
        return service.make(CONF.isolation_attestation, self._attested_anew)

    def _attested_anew(self, known: snapshot.Snapshot) -> None:
        """Publish and verify soon if something else is said of this host."""
        now = {n: e.document for n, e in self._said_of_this_host().items()}
        before, self._said = self._said, now
        if now != before and self._watch is not None:
            self._watch.hurry()

    def _said_of_this_host(self) -> Mapping[str, evidence.Evidence]:
        # Not get_local_node_uuid(), which makes a new identity where there
        # is none: whether there may be a new one Nova finds out first.
        return self._attestation.evidence(
            self._name, node.LOCAL_NODE_UUID or '', time.time()
        )
