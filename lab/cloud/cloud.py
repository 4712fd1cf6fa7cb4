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

"""A whole cloud: it is made, started, changed and stopped."""

from collections.abc import Iterable
import json
from pathlib import Path
import types

from openstack import connection

from lab.cloud import assembly
from lab.cloud import configuration_files
from lab.cloud import connection as connections
from lab.cloud import placement
from lab.config import host_specs
from lab.config import ini
from lab.config import site as sites
from lab.daemons import isolation_api
from lab.daemons import mariadb
from lab.daemons import nova
from lab.daemons import rabbitmq
from lab.daemons import wsgi
from lab.emulator import cache as emulators
from lab.hosts import choice
from lab.hosts import compute_host
from lab.hosts import machine_host
from lab.keylime import attestation as attestations
from lab.keylime import attestd
from lab.keylime import environment as environments
from lab.keylime import evidence
from lab.machine import cache as machine_cache
from lab.machine import recipe
from lab.run import errors
from lab.run import layout as layouts
from lab.run import processes
from lab.run import progress as progresses
from lab.run import signals
from lab.run import supervisor as supervisors

#: Seconds that a host may take to measure itself, on a machine even.
_MEASURED_SECONDS = 900


class Cloud:
    """The cloud in one state folder.

    As a context manager it starts the cloud, and stops it in any case::

        with Cloud() as cloud:
            cloud.connect().compute.servers()
    """

    def __init__(
        self,
        state: Path | None = None,
        computes: Iterable[host_specs.HostSpec] | None = None,
        control: ini.Settings | None = None,
        attested: bool = False,
        operator: bool = False,
    ) -> None:
        """Describe a cloud; nothing happens yet.

        :param state: the state folder; by default that of the default lab
        :param computes: the compute hosts; by default host_specs.DEFAULT
        :param control: more options for nova.conf of the control plane
        :param attested: whether to add Keylime, and a TPM for each host that
            has no security module
        :param operator: whether to add nova-isolation-api, and the users who
            ask it
        """
        state = state or layouts.default_state()
        self.layout = layouts.Layout(state.absolute())
        self.supervisor = supervisors.Supervisor(self.layout)
        self.progress = progresses.Progress()
        self._computes = list(computes or host_specs.known(host_specs.DEFAULT))
        self._control = control or {}
        self.attested = attested
        self.operator = operator
        self._site: sites.Site | None = None

    @classmethod
    def attach(cls, state: Path | None = None) -> 'Cloud':
        """The cloud that runs in a state folder.

        :raises LabError: when no cloud runs there
        """
        cloud = cls(state)
        record = cloud.layout.state / 'cloud.json'
        if not record.exists():
            raise errors.LabError(f'no lab is running in {cloud.layout.state}')
        values = json.loads(record.read_text(encoding='utf-8'))
        cloud._computes = [
            host_specs.HostSpec.from_data(spec) for spec in values['computes']
        ]
        cloud._control = values['control']
        cloud.attested = values['attested']
        cloud.operator = values['operator']
        cloud._site = sites.Site.load(cloud.layout)
        return cloud

    @property
    def site(self) -> sites.Site:
        """The addresses and passwords of the cloud.

        :raises LabError: when the cloud was not started
        """
        if self._site is None:
            raise errors.LabError(f'no lab is running in {self.layout.state}')
        return self._site

    @property
    def hosts(self) -> dict[str, compute_host.ComputeHost]:
        """The compute hosts of the cloud, by name."""
        return {
            spec.name: choice.host(self.site, spec, index)
            for index, spec in enumerate(self._computes)
        }

    @property
    def attestation(self) -> attestations.Attestation:
        """Keylime and the TPMs of the cloud.

        :raises LabError: when the cloud is not attested
        """
        if not self.attested:
            raise errors.LabError(
                f'the lab in {self.layout.state} is not attested: start it '
                'with --attested'
            )
        return attestations.Attestation(
            self.supervisor,
            self.site,
            self.progress,
            [spec.name for spec in self._computes if spec.has_tpm],
        )

    @property
    def evidence(self) -> evidence.Evidence:
        """The log of statements, and the keys of the hosts.

        :raises LabError: when the cloud was not started
        """
        hosts = self.hosts
        return evidence.Evidence(
            self.supervisor,
            self.site,
            hosts,
            {name: nova.compute_conf(self.layout, name) for name in hosts},
        )

    def __enter__(self) -> 'Cloud':
        self.up()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self.down()

    def up(self) -> None:
        """Make the cloud from nothing and start it.

        The old contents of the state folder are removed. On any failure, and
        on Ctrl-C, everything that was started is stopped again.

        :raises LabError: when a lab runs in the state folder, or a step
            failed
        """
        running = processes.belonging(self.layout)
        if running:
            raise errors.LabError(
                f'{len(running)} processes of the lab in {self.layout.state} '
                'are running: stop that lab first'
            )
        # Build the machines before anything runs that would wait for them.
        for kind in {
            choice.machine(spec).KIND
            for spec in self._computes
            if spec.machine is not None
        }:
            machine_cache.image(kind, self.supervisor, self.progress)
        if any(spec.emulator == 'stripped' for spec in self._computes):
            emulators.emulator(self.supervisor, self.progress)
        if self.attested:
            environments.environment(self.supervisor, self.progress)
        try:
            with signals.termination_raises():
                self._prepare()
                assembly.Assembly(
                    self.site,
                    self.supervisor,
                    self.progress,
                    list(self.hosts.values()),
                    self.attestation if self.attested else None,
                    self.operator,
                ).run()
        except BaseException:
            self.down(patience=3)
            raise
        self.progress.say(f'up: {", ".join(self.hosts)}')

    def down(self, patience: float = 15) -> None:
        """Stop every process of this cloud, and check that none is left.

        :param patience: seconds that the daemons have to end by themselves
        :raises LabError: when a process is left
        """
        with signals.ignored():
            self.supervisor.resume()
            with self.progress.step('down'):
                self._stop(patience)
            (self.layout.state / 'cloud.json').unlink(missing_ok=True)
            left = processes.belonging(self.layout)
            if left:
                raise errors.LabError(f'processes of the lab are left: {left}')
            self.progress.say('nothing is left running')

    def lost_machine(self, error: errors.DiedError) -> bool:
        """Whether a virtual machine, or the connection to it, has died."""
        return any(
            name in error.daemons
            for host in self.hosts.values()
            if isinstance(host, machine_host.MachineHost)
            for name in (host.daemon, host.connection)
        )

    def connect(self, user: str = sites.ADMIN) -> connection.Connection:
        """A new connection of openstacksdk.

        :param user: sites.ADMIN, AUDITOR, OWNER or STRANGER; the last three
            are users of a cloud with nova-isolation-api
        """
        return connections.connect(self.site, user)

    def restart(
        self, daemon: str, overrides: ini.Settings | None = None
    ) -> None:
        """Start a Nova daemon again, and wait until it serves.

        A compute host with the driver of this project serves once it offers
        what it has measured.

        :param daemon: nova.API, CONDUCTOR, SCHEDULER, compute_name(HOST) or
            isolation_api.NAME
        :param overrides: options that win over those in its file, until the
            next restart
        :raises LabError: when there is no such daemon, or it does not serve
        """
        queues = rabbitmq.Queues(self.supervisor, self.site)
        compute = {
            nova.compute_name(name): host for name, host in self.hosts.items()
        }.get(daemon)
        if compute is None:
            self.supervisor.stop([daemon], 20)
        else:
            compute.stop_service(self.supervisor, daemon)
        nova.override(self.layout, daemon, overrides or {})
        if daemon == nova.API:
            wsgi.start(self.supervisor, self.site, wsgi.NOVA)
            return
        if daemon == isolation_api.NAME:
            isolation_api.start(self.supervisor, self.site)
            return
        # Otherwise the consumer of the old daemon may be taken for that of
        # the new one.
        queues.wait_deserted(nova.queue(daemon), 180)
        if daemon in (nova.CONDUCTOR, nova.SCHEDULER):
            nova.start(self.supervisor, self.site, daemon)
            return
        if compute is None:
            raise errors.LabError(f'the lab has no daemon {daemon}')
        nova.start_compute(self.supervisor, compute)
        if compute.spec.guarded:
            api = self.connect()
            self.supervisor.wait(
                f'{compute.spec.name} to be measured',
                lambda: placement.is_measured(api, compute.spec.name),
                _MEASURED_SECONDS,
                every=0.3,
            )

    def _prepare(self) -> None:
        layout = self.layout
        layout.make()
        self._site = site = sites.Site.make(layout)
        layouts.write(
            layout.state / 'cloud.json',
            json.dumps(
                {
                    'computes': [spec.as_data() for spec in self._computes],
                    'control': self._control,
                    'attested': self.attested,
                    'operator': self.operator,
                }
            ),
        )
        hosts = self.hosts
        for host in hosts.values():
            host.make(self.supervisor)
        attested: ini.Settings = {}
        host_attested: dict[str, ini.Settings] = {}
        if self.attested:
            self.attestation.make()
            attested = attestd.client(site)
            for name, host in hosts.items():
                if host.spec.machine is not None:
                    if host.spec.has_tpm:
                        host_attested[name] = attestd.client_of_machine(site)
                else:
                    host_attested[name] = ini.merge(
                        attestd.client(site, recipe.CONFIGURATION),
                        evidence.host(site, self.attestation.tcti(name)),
                    )
                    host.give(
                        self.supervisor, attestd.client_files(self.layout)
                    )
        configuration_files.write(
            site,
            hosts,
            self._control,
            attested,
            host_attested,
            evidence.reader(site) if self.attested else {},
        )

    def _stop(self, patience: float) -> None:
        supervisor = self.supervisor
        everything = list(supervisor.daemons())
        last = {mariadb.NAME, rabbitmq.NAME, rabbitmq.MAPPER}
        # nova-compute and libvirtd leave the guests running.
        guests = [
            pid
            for pid, command in processes.belonging(self.layout).items()
            if 'qemu-system' in command
        ]
        supervisor.stop(
            [name for name in everything if name not in last], patience
        )
        processes.kill(guests, 60)
        supervisor.stop(
            [name for name in everything if name in last - {rabbitmq.MAPPER}],
            patience,
        )
        supervisor.stop([rabbitmq.MAPPER], 5)
        # Helpers may outlive the daemon that started them.
        processes.kill(list(processes.belonging(self.layout)), 60)
