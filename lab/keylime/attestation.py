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

"""The attested hosts of one lab, for tests and scenes."""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib

from lab.config import site as sites
from lab.keylime import agent as agents
from lab.keylime import attestd
from lab.keylime import environment as environments
from lab.keylime import evidence
from lab.keylime import services
from lab.keylime import settings
from lab.keylime import tenant as tenants
from lab.keylime import tpm
from lab.keylime import verdicts
from lab.run import plan as plans
from lab.run import progress as progresses
from lab.run import supervisor as supervisors


class Attestation:
    """Keylime and the TPMs of some hosts.

    At first the TPMs are on and the agents are registered. No hypervisor has
    been launched, and the verifier knows no host.
    """

    def __init__(
        self,
        supervisor: supervisors.Supervisor,
        site: sites.Site,
        progress: progresses.Progress,
        hosts: Sequence[str],
    ) -> None:
        """:param hosts: the compute hosts that have a TPM"""
        self._supervisor = supervisor
        self._site = site
        built = environments.environment(supervisor, progress)
        self._built = built
        self._agents = {
            host: agents.Agent(site, built, tpm.Tpm(site, host, index))
            for index, host in enumerate(hosts)
        }
        self._tenant = tenants.Tenant(supervisor, site, built)
        self.verdicts = verdicts.Verdicts(supervisor, site)

    def make(self) -> None:
        """Make certificates and configuration files; start nothing."""
        layout = self._site.layout
        settings.make_certificates(layout)
        for name in ('logging', 'ca'):
            settings.write(self._built, layout, name, {})
        self._tenant.make()
        attestd.make(self._site, evidence.log(self._site))
        evidence.make(self._site)
        attestd.host_map(layout).write_text(
            ''.join(
                f'{host} {agent.uuid}\n'
                for host, agent in self._agents.items()
            ),
            encoding='utf-8',
        )

    def add_steps(self, plan: plans.Plan) -> None:
        """Add the steps that start all services, TPMs and agents."""
        supervisor, site = self._supervisor, self._site
        plan.add(services.VERIFIER, self.start_verifier)
        plan.add(
            services.REGISTRAR,
            lambda: services.start_registrar(supervisor, site, self._built),
        )
        plan.add('tpms', self._start_tpms)
        plan.add(
            'keylime-agents',
            self._start_agents,
            ['tpms', services.REGISTRAR],
        )
        plan.add(
            attestd.NAME,
            self.start_attestd,
            [services.VERIFIER],
        )

    def uuid(self, host: str) -> str:
        """The id of a host at the verifier."""
        return self._agents[host].uuid

    def tcti(self, host: str) -> str:
        """The address of a host's TPM, for tpm2-tools."""
        return self._agents[host].tpm.tcti

    def launch(self, host: str, text: str) -> None:
        """Simulate a measured launch of a hypervisor on a host.

        On a host that runs already this stands for a reboot into another
        hypervisor: PCR 17 gets the value that it would have then. Unlike at
        a real reboot the guests go on running.

        :param text: stands for the hypervisor
        """
        self._agents[host].tpm.launch(self._supervisor, text)

    def extend(self, host: str, pcr: int, digests: Iterable[bytes]) -> None:
        """Extend a register, as what was launched does before the kernel.

        :param digests: SHA-256, in order
        """
        self._agents[host].tpm.extend(self._supervisor, pcr, digests)

    def pcr(self, host: str, index: int = tpm.LAUNCH) -> str:
        """The value of a register of a host's TPM."""
        return self._agents[host].tpm.read(self._supervisor, index)

    def enroll(self, host: str, policy: tenants.Policy) -> None:
        """Let the verifier attest a host by this policy from now on."""
        agent = self._agents[host]
        if self.verdicts.at_verifier(host) is not None:
            self._tenant.delete(agent)
        self._tenant.add(agent, policy)

    def reactivate(self, host: str) -> None:
        """Let the verifier attest a host again that has failed."""
        self._tenant.reactivate(self._agents[host])

    def power_cycle(self, host: str) -> None:
        """Switch a host off and on, without launching a hypervisor.

        The agent is started again. The verifier does not know the host until
        it is enrolled again.
        """
        agent = self._agents[host]
        self.kill_agent(host)
        agent.tpm.stop(self._supervisor)
        agent.tpm.start(self._supervisor)
        self.restart_agent(host)

    def kill_agent(self, host: str) -> None:
        """Kill the agent of a host."""
        self._agents[host].kill(self._supervisor)

    def restart_agent(self, host: str) -> None:
        """Start the agent of a host again; then the host must be enrolled."""
        agent = self._agents[host]
        if self.verdicts.at_verifier(host) is not None:
            self._tenant.delete(agent)
        self._tenant.unregister(agent)
        agent.start(self._supervisor)

    def agent_runs(self, host: str) -> bool:
        """Whether the agent of a host runs."""
        return self._agents[host].runs(self._supervisor)

    @contextlib.contextmanager
    def frozen_agent(self, host: str) -> Iterator[None]:
        """Keep the agent of a host stopped during the ``with``."""
        with self._agents[host].frozen(self._supervisor):
            yield

    def stop_verifier(self) -> None:
        """Stop the verifier."""
        services.stop_verifier(self._supervisor)

    def start_verifier(self) -> None:
        """Start the verifier; it remembers its hosts and their state."""
        services.start_verifier(
            self._supervisor,
            self._site,
            self._built,
            attestd.webhook(self._site),
        )

    def start_attestd(self) -> None:
        """Start attestd, which remembers its log."""
        attestd.start(self._supervisor, self._site)

    def stop_attestd(self) -> None:
        """Stop attestd."""
        self._supervisor.stop([attestd.NAME], 20)

    def _start_tpms(self) -> None:
        for agent in self._agents.values():
            agent.tpm.make(self._supervisor)
            agent.tpm.start(self._supervisor)

    def _start_agents(self) -> None:
        for agent in self._agents.values():
            agent.start(self._supervisor)
