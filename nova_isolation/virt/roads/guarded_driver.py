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

"""Nova's libvirt driver with a guard, and what the guard is made of."""

import abc
from collections.abc import Iterable
from collections.abc import Mapping
import functools
import threading
import time
import typing

import nova.conf
from nova.virt import node
from oslo_log import log as logging

from nova_isolation.attestation import service
from nova_isolation.attestation import snapshot
from nova_isolation.host import compute_host
from nova_isolation.mechanisms import registry
from nova_isolation.mechanisms import sources
from nova_isolation.model import errors
from nova_isolation.model import evidence
from nova_isolation.virt import signatures
from nova_isolation.virt.guard import guard
from nova_isolation.virt.guard import hypervisor
from nova_isolation.virt.guard import sink
from nova_isolation.virt.releases import flavor_metadata
from nova_isolation.virt.releases import start_up
from nova_isolation.virt.roads import choke_points
from nova_isolation.virt.sinks import event
from nova_isolation.virt.sinks import fault
from nova_isolation.virt.sinks import late_fault
from nova_isolation.virt.sinks import log
from nova_isolation.virt.sinks import notification
from nova_isolation.virt.watch import watch_thread

if typing.TYPE_CHECKING:
    from nova_isolation.virt.sinks import evidence as evidence_sink

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)


class GuardedDriver(
    start_up.StartedDriver, flavor_metadata.DescribingDriver, abc.ABC
):
    """Makes the guard of this host and everything that the guard needs.

    The guests that Nova's Host hands out are guarded from then on. What is
    particular to the hypervisor is in :meth:`_hypervisor`, :meth:`_xen` and
    :attr:`_guarded_host`.
    """

    #: What Nova's Host becomes.
    _guarded_host: type[choke_points.GuardedHost] = choke_points.GuardedHost

    @signatures.override
    def __init__(self, virtapi: typing.Any, read_only: bool = False) -> None:
        self._name: str = CONF.host
        self._watch: watch_thread.WatchThread | None = None
        #: mechanism -> what a third party stated of this host last
        self._stated: dict[str, str] = {}
        #: ``guest``: what _create_guest has made, in this thread
        self._made = threading.local()
        super().__init__(virtapi, read_only)
        self._guarded_host.take(self._host, self.guard)

    @functools.cached_property
    def guard(self) -> guard.Guard:
        """The guard of this host."""
        return guard.Guard(
            CONF.isolation,
            self._hypervisor(),
            compute_host.ComputeHost(
                self._host,
                CONF,
                CONF.libvirt.virt_type,
                self._evidence_of_this_host,
                self._xen(),
            ),
            registry.get(),
            sink.Reporter(self._sinks()),
            self._attestation,
        )

    @functools.cached_property
    def _late_faults(self) -> late_fault.LateFaults:
        return late_fault.LateFaults(CONF.isolation.fault_timeout)

    @functools.cached_property
    def _attestation(self) -> service.Attestation:
        return service.make(CONF, self._attestation_changed)

    @abc.abstractmethod
    def _hypervisor(self) -> hypervisor.Hypervisor:
        """What the guard needs from the virtualization stack."""

    def _xen(self) -> sources.Xen | None:
        """The hypervisor of this host where it is Xen."""
        return None

    @functools.cached_property
    def _evidence(self) -> 'evidence_sink.EvidenceSink | None':
        """What states the outcomes; None: this host makes no statements."""
        if not CONF.isolation_evidence.signing_key:
            return None
        try:
            # Hosts that make no statements need not have its libraries.
            from nova_isolation.virt.sinks import evidence as evidence_sink

            return evidence_sink.make(CONF)
        except (ImportError, errors.IsolationError) as error:
            # No guest depends on it.
            LOG.error(
                'This host makes no statements about its guests, although '
                '[isolation_evidence] signing_key is set: %s',
                error,
            )
            return None

    def _sinks(self) -> Iterable[sink.Sink]:
        """What reports the outcomes, in this order: what can be slow last."""
        return (
            *filter(None, [self._evidence]),
            log.LogSink(),
            notification.NotificationSink(
                CONF.host, CONF.isolation.notification_topics
            ),
            event.EventSink(CONF.host),
            fault.FaultSink(self._late_faults),
        )

    def _attestation_changed(self, known: snapshot.Snapshot) -> None:
        """Publish and verify soon if the evidence of this host changed."""
        now = {
            name: one.document
            for name, one in self._evidence_of_this_host().items()
        }
        before, self._stated = self._stated, now
        if now != before and self._watch is not None:
            self._watch.hurry()

    def _evidence_of_this_host(self) -> Mapping[str, evidence.Evidence]:
        # Not get_local_node_uuid(), which makes a new identity where there
        # is none. Nova finds out first whether it may make one.
        return self._attestation.evidence(
            self._name, node.LOCAL_NODE_UUID or '', time.time()
        )
