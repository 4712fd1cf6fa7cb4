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

"""Keylime's registrar and verifier."""

from pathlib import Path

from lab.config import site as sites
from lab.keylime import environment as environments
from lab.keylime import settings
from lab.run import ports as port_blocks
from lab.run import supervisor as supervisors

REGISTRAR = 'keylime-registrar'
VERIFIER = 'keylime-verifier'
_SECONDS = 400
_STOP_SECONDS = 10


def start_registrar(
    supervisor: supervisors.Supervisor,
    site: sites.Site,
    built: environments.Environment,
) -> None:
    """Start the registrar and wait until it listens."""
    settings.write(built, site.layout, 'registrar', settings.registrar(site))
    _start(supervisor, site, built, 'registrar', 'registrar-tls')


def start_verifier(
    supervisor: supervisors.Supervisor,
    site: sites.Site,
    built: environments.Environment,
    webhook: str,
) -> None:
    """Start the verifier and wait until it listens.

    It remembers the agents from before it was stopped.

    :param webhook: the URL to which the verifier sends revocations
    """
    settings.write(
        built, site.layout, 'verifier', settings.verifier(site, webhook)
    )
    _start(supervisor, site, built, 'verifier', 'verifier')


def stop_verifier(supervisor: supervisors.Supervisor) -> None:
    """Stop the verifier."""
    supervisor.stop([VERIFIER], _STOP_SECONDS)


def _start(
    supervisor: supervisors.Supervisor,
    site: sites.Site,
    built: environments.Environment,
    name: str,
    port: str,
) -> None:
    command: list[str | Path] = [
        built.services,
        '-m',
        f'keylime.cmd.{name}',
    ]
    daemon = supervisor.start(
        f'keylime-{name}',
        command,
        settings.variables(site.layout, name),
        # The parent process does not end its children.
        group=True,
    )
    supervisor.wait(
        name,
        lambda: port_blocks.listening(site.ports[port]),
        _SECONDS,
        daemon,
    )
