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


"""What all demonstrations share: how they show and check a claim."""

from typing import Any
from typing import NoReturn

from lab.cloud import cloud as clouds
from lab.cloud import explain
from lab.guests import guests as guest_api
from lab.run import errors


class Stage:
    """The base class of scenes on a cloud with guests.

    Scenes show only what they have checked.
    """

    def __init__(self, cloud: clouds.Cloud) -> None:
        self._cloud = cloud
        self._guests = guest_api.Guests(cloud)
        self._api = self._guests.api

    def _title(self, text: str) -> None:
        print()
        self._cloud.progress.say(text)

    def _flavor(self, name: str, specs: dict[str, str]) -> None:
        self._guests.flavor(name, specs)
        print(f'  flavor {name}: {self._tags(specs)}')

    @staticmethod
    def _tags(specs: dict[str, str]) -> str:
        return (
            ' '.join(
                f'{key.removeprefix("isolation:")}={value}'
                for key, value in specs.items()
            )
            or '-'
        )

    def _running(
        self,
        server: Any,
        host: str,
        seconds: float = guest_api.BOOT_SECONDS,
    ) -> Any:
        """Wait until a server runs, and check that it is on this host.

        :returns: the server as the API shows it then
        """
        server = self._guests.wait_status(server, ('ACTIVE', 'ERROR'), seconds)
        self._check(
            server.status == 'ACTIVE',
            f'{server.name} is ACTIVE (fault: {server.fault})',
        )
        self._check(
            server.compute_host == host,
            f'{server.name} is on {host}, not {server.compute_host}',
        )
        return server

    def _check_no_domain(self, server: Any) -> None:
        """Check that no host has a domain for a server."""
        for name, host in self._cloud.hosts.items():
            domains = host.virsh(
                self._cloud.supervisor, 'list', '--all', '--uuid'
            )
            self._check(
                server.id not in domains,
                f'{server.name} has no domain on {name}',
            )

    @staticmethod
    def _fault(server: Any) -> str:
        """What the fault of a server says; 'None' where it has none."""
        return str((server.fault or {}).get('message'))

    def _wait_explained(self, flavor: str, wanted: str, seconds: float) -> str:
        """What ``explain`` says of a flavor, once it contains ``wanted``."""

        def text() -> str:
            found = explain.explain(self._cloud, flavor)
            return found if wanted in found else ''

        return self._cloud.supervisor.wait(
            f'"{wanted}" from explain', text, seconds, every=2
        )

    def _show_explanation(self, flavor: str, text: str) -> None:
        """Show what the command ``explain`` has said about a flavor."""
        print(f'  $ nova-isolation-manage explain {flavor}')
        print(self._indented(text))

    @staticmethod
    def _indented(text: str) -> str:
        return '\n'.join(f'    {line}' for line in text.splitlines())

    def _check(self, holds: bool, claim: str) -> None:
        if not holds:
            self._fail(claim)

    @staticmethod
    def _fail(claim: str) -> NoReturn:
        raise errors.LabError(f'this claim is false: {claim}')
