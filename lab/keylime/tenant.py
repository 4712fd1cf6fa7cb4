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

"""The admin of Keylime: enrols hosts, and takes them back."""

from collections.abc import Mapping
from collections.abc import Sequence
import json

from lab.config import site as sites
from lab.keylime import agent as agents
from lab.keylime import environment as environments
from lab.keylime import settings
from lab.run import errors
from lab.run import supervisor as supervisors

#: PCR index to the values that are good.
Policy = Mapping[int, Sequence[str]]
_SECONDS = 120


class Tenant:
    """Keylime's own command for that."""

    def __init__(
        self,
        supervisor: supervisors.Supervisor,
        site: sites.Site,
        built: environments.Environment,
    ) -> None:
        self._supervisor = supervisor
        self._site = site
        self._built = built

    def make(self) -> None:
        """Write its configuration, and a payload as it demands one."""
        layout = self._site.layout
        settings.write(
            self._built, layout, 'tenant', settings.tenant(self._site)
        )
        (settings.folder(layout, 'tenant') / 'payload').touch()

    def add(self, agent: agents.Agent, policy: Policy) -> None:
        """Have the verifier attest a host.

        :raises LabError: when its TPM is none of a trusted manufacturer
        """
        payload = settings.folder(self._site.layout, 'tenant') / 'payload'
        self._run(
            'add',
            agent,
            '-t',
            sites.LOCALHOST,
            '-tp',
            str(self._site.ports.agent(agent.tpm.index)),
            '-f',
            str(payload),
            '--tpm_policy',
            json.dumps({str(pcr): list(good) for pcr, good in policy.items()}),
        )

    def delete(self, agent: agents.Agent) -> None:
        """Have the verifier forget a host."""
        self._run('delete', agent)

    def reactivate(self, agent: agents.Agent) -> None:
        """Have the verifier try a host that failed again."""
        self._run('reactivate', agent)

    def unregister(self, agent: agents.Agent) -> None:
        """Have the registrar forget the key of a host."""
        self._run('regdelete', agent)

    def _run(self, command: str, agent: agents.Agent, *more: str) -> None:
        result = self._supervisor.output(
            [
                self._built.services,
                '-m',
                'keylime.cmd.tenant',
                '-c',
                command,
                '-v',
                sites.LOCALHOST,
                '-u',
                agent.uuid,
                *more,
            ],
            _SECONDS,
            environment=settings.variables(self._site.layout, 'tenant'),
        )
        if result.returncode:
            raise errors.LabError(
                f'keylime_tenant -c {command} of {agent.tpm.host}: '
                f'{result.stdout}{result.stderr}'
            )
