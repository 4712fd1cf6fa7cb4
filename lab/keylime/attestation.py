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

"""The attested hosts of one lab: what tests and scenes may do to them."""

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib

from lab.config import site as sites
from lab.keylime import agent as agents
from lab.keylime import attestd
from lab.keylime import environment as environments
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

    At first the TPMs are on and the agents are registered; no hypervisor was
    launched, and the verifier knows no host.
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
        """Make its files; start nothing."""
        layout = self._site.layout
        settings.make_certificates(layout)
        for name in ('logging', 'ca'):
            settings.write(self._built, layout, name, {})
        self._tenant.make()
        attestd.make(self._site)
        attestd.host_map(layout).write_text(
            ''.join(
                f'{host} {agent.uuid}\n'
                for host, agent in self._agents.items()
            ),
            encoding='utf-8',
        )

    def add_steps(self, plan: plans.Plan) -> None:
        """How it is started."""
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
            lambda: attestd.start(supervisor, site),
            [services.VERIFIER],
        )

    def uuid(self, host: str) -> str:
        """What the verifier calls a host."""
        return self._agents[host].uuid

    def launch(self, host: str, text: str) -> None:
        """Launch a hypervisor there, measured.

        On a host that runs already it stands for a new start with another
        one: PCR 17 is what it would be then. The guests stay, which no real
        start would let them.

        :param text: stands for the hypervisor
        """
        self._agents[host].tpm.launch(self._supervisor, text)

    def pcr(self, host: str, index: int = tpm.LAUNCH) -> str:
        """What a register of its TPM holds."""
        return self._agents[host].tpm.read(self._supervisor, index)

    def enrol(self, host: str, policy: tenants.Policy) -> None:
        """Have the verifier attest it, by that policy from now on."""
        agent = self._agents[host]
        if self.verdicts.at_verifier(host) is not None:
            self._tenant.delete(agent)
        self._tenant.add(agent, policy)

    def reactivate(self, host: str) -> None:
        """Have the verifier try it again after it has failed."""
        self._tenant.reactivate(self._agents[host])

    def power_cycle(self, host: str) -> None:
        """Switch it off and on: no hypervisor was launched there.

        The agent comes back; the verifier does not know it until it is
        enrolled.
        """
        agent = self._agents[host]
        self.kill_agent(host)
        agent.tpm.stop(self._supervisor)
        agent.tpm.start(self._supervisor)
        self.restart_agent(host)

    def kill_agent(self, host: str) -> None:
        """Its agent ends without a word; the verifier is to notice."""
        self._agents[host].kill(self._supervisor)

    def restart_agent(self, host: str) -> None:
        """Start an agent that was killed, which then has to be enrolled."""
        agent = self._agents[host]
        if self.verdicts.at_verifier(host) is not None:
            self._tenant.delete(agent)
        self._tenant.unregister(agent)
        agent.start(self._supervisor)

    def agent_runs(self, host: str) -> bool:
        """Whether its agent does."""
        return self._agents[host].runs(self._supervisor)

    @contextlib.contextmanager
    def frozen_agent(self, host: str) -> Iterator[None]:
        """While it lasts, its agent answers nobody."""
        with self._agents[host].frozen(self._supervisor):
            yield

    def stop_verifier(self) -> None:
        """Stop the verifier."""
        services.stop_verifier(self._supervisor)

    def start_verifier(self) -> None:
        """Start the verifier, with all that it knew."""
        services.start_verifier(
            self._supervisor,
            self._site,
            self._built,
            attestd.webhook(self._site),
        )

    def _start_tpms(self) -> None:
        for agent in self._agents.values():
            agent.tpm.make(self._supervisor)
            agent.tpm.start(self._supervisor)

    def _start_agents(self) -> None:
        for agent in self._agents.values():
            agent.start(self._supervisor)
