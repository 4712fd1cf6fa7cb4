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

"""The order in which the parts of a cloud are started.

Two cores do all of the work, so steps overlap where they can: each service
starts as soon as its own database exists, and several commands of a project
share one import of it.
"""

from collections.abc import Sequence
import functools

from lab.cloud import connection as connections
from lab.cloud import guest_image
from lab.cloud import placement
from lab.cloud import seed
from lab.cloud import xen_guest_image
from lab.config import site as sites
from lab.daemons import isolation_api
from lab.daemons import mariadb
from lab.daemons import nova
from lab.daemons import rabbitmq
from lab.daemons import wsgi
from lab.database import schemas
from lab.hosts import compute_host
from lab.hosts import xen_host
from lab.keylime import attestation as attestations
from lab.keylime import attestd
from lab.run import plan as plans
from lab.run import progress as progresses
from lab.run import supervisor as supervisors

_SECONDS = 900


class Assembly:
    """The steps from configuration files to a cloud that can boot guests."""

    def __init__(
        self,
        site: sites.Site,
        supervisor: supervisors.Supervisor,
        progress: progresses.Progress,
        hosts: Sequence[compute_host.ComputeHost],
        attestation: attestations.Attestation | None = None,
        operator: bool = False,
    ) -> None:
        self._site = site
        self._supervisor = supervisor
        self._progress = progress
        self._hosts = hosts
        self._attestation = attestation
        self._operator = operator

    def run(self) -> None:
        """Start everything.

        :raises LabError: when a step failed
        """
        plan = plans.Plan(self._supervisor, self._progress)
        supervisor, site = self._supervisor, self._site
        plan.add('mariadb', lambda: mariadb.start(supervisor, site))
        plan.add('rabbitmq', lambda: rabbitmq.start(supervisor, site))
        for host in self._hosts:
            plan.add(host.daemon, functools.partial(self._start_host, host))
        plan.add('guest-files', lambda: guest_image.make(supervisor))
        databases = schemas.Schemas(supervisor, site)
        plan.add('nova-db', databases.nova, ['mariadb'])
        plan.add('keystone-db', databases.keystone, ['mariadb'])
        self._add_service(plan, wsgi.KEYSTONE, 'keystone-db')
        plan.add('keystone-seed', self._seed, ['keystone-api'])
        plan.add('neutron-db', databases.neutron, ['mariadb'])
        self._add_service(plan, wsgi.NEUTRON, 'neutron-db', 'rabbitmq')
        plan.add('placement-db', databases.placement, ['mariadb'])
        self._add_service(plan, wsgi.PLACEMENT, 'placement-db')
        plan.add('glance-db', databases.glance, ['mariadb'])
        self._add_service(plan, wsgi.GLANCE, 'glance-db')
        self._add_nova(plan)
        if self._attestation is not None:
            self._attestation.add_steps(plan)
        if self._operator:
            self._add_operator(plan)
        plan.add(
            'images',
            self._images,
            ['guest-files', 'glance-api', 'keystone-seed'],
        )
        plan.run()

    def _start_host(self, host: compute_host.ComputeHost) -> None:
        host.start(self._supervisor)
        # A host that is no virtual machine has them already.
        if self._attestation is not None and host.spec.machine is not None:
            host.give(self._supervisor, attestd.client_files(host.site.layout))

    def _add_service(
        self, plan: plans.Plan, service: wsgi.Service, *after: str
    ) -> None:
        plan.add(
            wsgi.daemon_name(service),
            lambda: wsgi.start(self._supervisor, self._site, service),
            after,
        )

    def _add_nova(self, plan: plans.Plan) -> None:
        # Conductor and scheduler exit if Placement refuses their login.
        needs = ['nova-db', 'keystone-seed', 'placement-api', 'rabbitmq']
        for name in (nova.CONDUCTOR, nova.SCHEDULER):
            plan.add(
                name,
                functools.partial(
                    nova.start, self._supervisor, self._site, name
                ),
                needs,
            )
        self._add_service(plan, wsgi.NOVA, 'nova-db', 'rabbitmq')
        computes = []
        for host in self._hosts:
            name = nova.compute_name(host.spec.name)
            # nova-compute tries again only after 10 s if it calls before
            # the conductor listens.
            plan.add(
                name,
                functools.partial(nova.start_compute, self._supervisor, host),
                [nova.CONDUCTOR, host.daemon],
            )
            computes.append(name)
        plan.add(
            'hosts-mapped',
            self._mapped,
            [*computes, nova.SCHEDULER, wsgi.daemon_name(wsgi.NOVA)],
        )

    def _add_operator(self, plan: plans.Plan) -> None:
        plan.add('operators', self._operators, ['keystone-seed'])
        plan.add(
            isolation_api.NAME,
            functools.partial(
                isolation_api.start, self._supervisor, self._site
            ),
            ['operators', 'nova-db', 'rabbitmq'],
        )

    def _seed(self) -> None:
        seed.identity(connections.connect(self._site), self._site)

    def _operators(self) -> None:
        seed.operators(connections.connect(self._site), self._site)

    def _images(self) -> None:
        cloud = connections.connect(self._site)
        files = guest_image.make(self._supervisor)
        guest_image.upload(cloud, files)
        for host in self._hosts:
            if isinstance(host, xen_host.XenHost):
                xen_guest_image.upload(cloud, host.image, files)
                break

    def _mapped(self) -> None:
        """Wait until the scheduler can choose each compute host.

        A machine can be chosen for a tagged guest as well.
        """
        cloud = connections.connect(self._site)
        names = {host.spec.name for host in self._hosts}
        guarded = [host.spec.name for host in self._hosts if host.spec.guarded]

        def ready() -> bool:
            up = {
                host.name
                for host in cloud.compute.hypervisors(True)
                if host.state == 'up' and host.status == 'enabled'
            }
            offered = cloud.placement.get(
                '/resource_providers?resources=MEMORY_MB:1',
                microversion='1.39',
            ).json()['resource_providers']
            return names <= up & {one['name'] for one in offered} and all(
                placement.is_measured(cloud, name) for name in guarded
            )

        self._supervisor.wait(
            'compute hosts to be mapped', ready, _SECONDS, every=0.3
        )
