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

"""The agent of a compute host, which quotes its TPM for the verifier."""

from collections.abc import Iterator
import contextlib
import dataclasses
import os
from pathlib import Path
import shutil
import signal
import uuid

from lab.config import site as sites
from lab.keylime import environment as environments
from lab.keylime import settings
from lab.keylime import tpm as tpms
from lab.run import ports as port_blocks
from lab.run import supervisor as supervisors

_MAIN = Path(__file__).with_name('agent_main.py')
_SECONDS = 400


@dataclasses.dataclass(frozen=True)
class Agent:
    """The agent of the ``index``-th host of a lab."""

    site: sites.Site
    built: environments.Environment
    tpm: tpms.Tpm

    @property
    def daemon(self) -> str:
        """The name of the agent's process."""
        return f'keylime-agent-{self.tpm.host}'

    @property
    def uuid(self) -> str:
        """The agent's id at the verifier."""
        return agent_uuid(self.tpm.host)

    def start(self, supervisor: supervisors.Supervisor) -> None:
        """Start the agent with a new key, and wait until it is registered.

        Neither registrar nor verifier may know the agent before.
        """
        port = self.site.ports.agent(self.tpm.index)
        # The agent refuses to start when it finds the state of a key that
        # no longer exists.
        folder = settings.folder(self.site.layout, self.daemon)
        if folder.exists():
            shutil.rmtree(folder)
        settings.write(
            self.built,
            self.site.layout,
            self.daemon,
            settings.agent(self.site, self.uuid, port),
            'agent',
        )
        daemon = supervisor.start(
            self.daemon,
            [self.built.agent, _MAIN],
            {
                **settings.variables(self.site.layout, self.daemon, 'agent'),
                'TPM2TOOLS_TCTI': self.tpm.tcti,
                # Keeps the agent from mounting a tmpfs on its folder.
                'KEYLIME_TEST': 'on',
            },
            group=True,
        )
        # The agent listens before it is registered, and serves afterwards.
        supervisor.wait(
            self.daemon,
            lambda: _REGISTERED in _text(supervisor.log(self.daemon)),
            _SECONDS,
            daemon,
        )
        supervisor.wait(
            self.daemon,
            lambda: port_blocks.listening(port),
            _SECONDS,
            daemon,
        )

    def kill(self, supervisor: supervisors.Supervisor) -> None:
        """Kill the agent, which then tells neither registrar nor verifier."""
        supervisor.stop([self.daemon], 0)
        # The next agent begins a new log, in which start() looks.
        log = supervisor.log(self.daemon)
        if log.exists():
            log.rename(log.with_suffix('.log.old'))

    def runs(self, supervisor: supervisors.Supervisor) -> bool:
        """Whether the agent runs."""
        found = supervisor.daemons().get(self.daemon)
        return found is not None and found.alive()

    @contextlib.contextmanager
    def frozen(self, supervisor: supervisors.Supervisor) -> Iterator[None]:
        """Keep the agent stopped (SIGSTOP) during the body of the ``with``."""
        pid = supervisor.daemons()[self.daemon].pid
        # The agent leads the process group of its children.
        os.killpg(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(pid, signal.SIGCONT)


_REGISTERED = 'Starting Cloud Agent on'


def agent_uuid(host: str) -> str:
    """The id of a host's agent at the verifier."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f'{host}.lab'))


def _text(path: Path) -> str:
    return path.read_text('utf-8', 'replace') if path.exists() else ''
