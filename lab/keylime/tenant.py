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

"""The tenant, Keylime's command of the admin, which enrolls hosts."""

from collections.abc import Mapping
from collections.abc import Sequence
import json

from lab.config import site as sites
from lab.keylime import agent as agents
from lab.keylime import environment as environments
from lab.keylime import settings
from lab.run import errors
from lab.run import supervisor as supervisors

#: The good values by PCR index.
Policy = Mapping[int, Sequence[str]]
_SECONDS = 400


class Tenant:
    """The command of one lab."""

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
        """Write the configuration, and the payload that the tenant demands."""
        layout = self._site.layout
        settings.write(
            self._built, layout, 'tenant', settings.tenant(self._site)
        )
        (settings.folder(layout, 'tenant') / 'payload').touch()

    def add(self, agent: agents.Agent, policy: Policy) -> None:
        """Let the verifier attest a host.

        :raises LabError: when the host's TPM has no certificate of a trusted
            manufacturer
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
        """Let the verifier forget a host."""
        self._run('delete', agent)

    def reactivate(self, agent: agents.Agent) -> None:
        """Let the verifier attest a host again that has failed."""
        self._run('reactivate', agent)

    def unregister(self, agent: agents.Agent) -> None:
        """Let the registrar forget the key of a host."""
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
