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

"""The scenes for those who run a cloud: tag, ask, prove, audit, look."""

from collections.abc import Sequence
from pathlib import Path
import sys
from typing import Any

import requests

from lab.cloud import cloud as clouds
from lab.cloud import openstack_command
from lab.config import site as sites
from lab.demo import stage
from lab.guests import guests
from lab.run import layout as layouts

FLAVOR = 'demo.hardened'
_SHIPPED, _OWN = 'hardened', 'lab-hardened'
_MISTYPED = 'demo.mistyped'
_GOOD, _PLAIN = 'cpu-hardened', 'cpu-plain'
#: Exit statuses of the commands: the answer is "no", and there is no answer.
_NO, _CANNOT = 1, 2
#: Seconds until the service has read the cloud again, which it does every two.
_READ_SECONDS = 120.0
_PROGRAM = Path(__file__).with_name('picture.py')
#: The profile of this cloud's administrator. The hosts of the lab have no
#: security module, which the shipped profiles want.
_PROFILE = """\
summary: QEMU is hardened by its compiler, and sandboxed.
buys:
  - what: An error in the memory handling of QEMU is harder to use.
    against: a guest that attacks its QEMU
lacks:
  - Nothing confines the process of QEMU but its sandbox.
extra_specs:
  isolation:qemu_hardening: pie,nx,relro
  isolation:qemu_sandbox: true
"""
_SPECS = {
    'isolation:qemu_hardening': 'pie,nx,relro',
    'isolation:qemu_sandbox': 'true',
}


class OperatorScenes(stage.Stage):
    """The scenes, on a cloud with the default hosts and the service."""

    def __init__(self, cloud: clouds.Cloud) -> None:
        super().__init__(cloud)
        self._owner = guests.Guests(cloud, cloud.connect(sites.OWNER))

    def run(self) -> None:
        """Show all scenes.

        :raises LabError: at the first claim that is false
        """
        self._hosts()
        self._profiles()
        self._explained()
        server = self._boots()
        self._proved(server)
        self._audited(server)
        self._looked_at(server)
        self._measured()
        self._owner.delete(server)

    def _hosts(self) -> None:
        self._title('An auditor, who may only read, sees the hosts')
        self._openstack(
            sites.AUDITOR,
            'isolation host list',
            words=(_GOOD, _PLAIN, 'enforce'),
        )
        self._openstack(
            sites.OWNER,
            'isolation host list',
            status=_CANNOT,
            words=('403',),
        )

    def _profiles(self) -> None:
        self._title('The administrator tags a flavor by a profile')
        layouts.write(
            self._cloud.layout.state
            / '.config/openstack/isolation-profiles'
            / f'{_OWN}.yaml',
            _PROFILE,
        )
        self._openstack(
            sites.ADMIN,
            'isolation profile list',
            words=('alice-private-cloud', 'bob-public-cloud', _SHIPPED, _OWN),
        )
        self._openstack(
            sites.ADMIN,
            f'isolation profile show {_OWN}',
            words=('a guest that attacks its QEMU',),
        )
        self._guests.flavor(FLAVOR)
        self._openstack(
            sites.ADMIN, f'flavor isolation set {FLAVOR} --profile {_SHIPPED}'
        )

    def _explained(self) -> None:
        self._title('Which hosts would take it, before anybody boots')
        self._openstack(
            sites.AUDITOR,
            f'flavor isolation show {FLAVOR}',
            status=_NO,
            words=(_GOOD, _PLAIN, 'isolation.svirt.no_model'),
        )
        print('  No host of this lab has a security module. Another profile:')
        self._openstack(sites.ADMIN, f'flavor isolation unset {FLAVOR} --all')
        self._openstack(
            sites.ADMIN, f'flavor isolation set {FLAVOR} --profile {_OWN}'
        )
        found = self._api.compute.find_flavor(
            FLAVOR, get_extra_specs=True
        ).extra_specs
        print(f'  Nova has: {self._tags(found)}')
        self._check(found == _SPECS, f'Nova has {_SPECS} of {FLAVOR}')
        self._openstack(
            sites.AUDITOR,
            f'flavor isolation show {FLAVOR}',
            words=(
                _GOOD,
                _PLAIN,
                'isolation.qemu.not_hardened',
                'isolation.qemu.no_sandbox',
            ),
        )

    def _boots(self) -> Any:
        self._title('A member of a project boots a server of it')
        server = self._owner.create('operator-1', FLAVOR)
        server = self._guests.wait_status(server, ('ACTIVE', 'ERROR'))
        self._check(server.status == 'ACTIVE', f'it runs: {server.fault}')
        self._check(server.compute_host == _GOOD, f'it is on {_GOOD}')
        self._guests.wait_console(server)
        print(f'  {server.name}: {server.status} on {server.compute_host}')
        return server

    def _proved(self, server: Any) -> None:
        self._title('What was asked, what was read back, and by whom')
        show = f'server isolation show {server.id}'
        self._openstack(
            sites.AUDITOR,
            show,
            words=('isolation:qemu_sandbox', 'Success', _GOOD),
        )
        print('  Its host examines the guest again:')
        self._openstack(
            sites.AUDITOR, f'{show} --now', words=('isolation:qemu_sandbox',)
        )
        print('  Its owner sees what the owner asked for, and no host:')
        text = self._openstack(sites.OWNER, show, words=('Success',))
        for host in self._cloud.hosts:
            self._check(host not in text, f'the owner does not see {host}')
        print('  A member of another project does not learn that it exists:')
        self._openstack(sites.STRANGER, show, status=_CANNOT)

    def _audited(self, server: Any) -> None:
        self._title('An audit of the whole cloud finds a planted fault')
        self._openstack(sites.AUDITOR, 'isolation audit')
        print(
            '  A flavor gets a tag that nobody reads, at an old microversion'
        )
        flavor = self._guests.flavor(_MISTYPED)
        self._api.compute.post(
            f'/flavors/{flavor.id}/os-extra_specs',
            microversion='2.1',
            json={'extra_specs': {'isolatiom:svirt': 'selinux'}},
        ).raise_for_status()
        self._wait_for_audit(_NO)
        self._openstack(
            sites.AUDITOR,
            'isolation audit',
            status=_NO,
            words=('isolation.audit.', _MISTYPED, 'isolatiom:svirt'),
        )
        self._api.compute.delete_flavor(flavor)
        self._wait_for_audit(0)
        self._openstack(sites.AUDITOR, 'isolation audit')

    def _wait_for_audit(self, status: int) -> None:
        """Wait until the service has read the cloud anew.

        :param status: with which the audit ends then
        """
        self._cloud.supervisor.wait(
            'the next reading of the cloud',
            lambda: (
                openstack_command.run(
                    self._cloud, sites.AUDITOR, 'isolation', 'audit'
                ).returncode
                == status
            ),
            _READ_SECONDS,
        )

    def _looked_at(self, server: Any) -> None:
        self._title('The page, in a browser')
        site = self._cloud.site
        picture = self._cloud.layout.state / 'page.png'
        result = self._cloud.supervisor.output(
            [
                sys.executable,
                '-P',
                _PROGRAM,
                f'{site.url(sites.OPERATOR_API)}/page/',
                sites.AUDITOR,
                picture,
            ],
            environment={'LAB_PASSWORD': site.passwords[sites.AUDITOR]},
        )
        self._check(
            result.returncode == 0, f'the page is shown: {result.stderr}'
        )
        for word in (_GOOD, _PLAIN, 'isolation.qemu.no_sandbox'):
            self._check(word in result.stdout, f'the page says {word}')
        self._check(picture.read_bytes().startswith(b'\x89PNG'), 'it is a PNG')
        print(f'  picture: {picture}')

    def _measured(self) -> None:
        self._title('Metrics for Prometheus, on a listener of their own')
        port = self._cloud.site.ports['isolation-metrics']
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(
                f'http://{sites.LOCALHOST}:{port}/metrics', timeout=60
            )
        answer.raise_for_status()
        lines = [
            line
            for line in answer.text.splitlines()
            if line.startswith('nova_isolation_')
        ]
        for line in lines[:20]:
            print(f'  {line}')
        self._check(bool(lines), 'the service has metrics of its own')

    def _openstack(
        self,
        user: str,
        command: str,
        status: int = 0,
        words: Sequence[str] = (),
    ) -> str:
        """Run ``openstack COMMAND`` as a user, and show what it prints.

        :param status: the exit status that is right
        :param words: what it has to print
        :returns: what it printed
        """
        result = openstack_command.run(self._cloud, user, *command.split())
        text = result.stdout + result.stderr
        print(f'  {user}$ openstack {command}')
        print(''.join(f'    {line}\n' for line in text.splitlines()), end='')
        self._check(
            result.returncode == status,
            f'the exit status is {status}, not {result.returncode}',
        )
        if status:
            print(f'    (exit status {status})')
        for word in words:
            self._check(word in text, f'openstack {command} says {word}')
        return text
