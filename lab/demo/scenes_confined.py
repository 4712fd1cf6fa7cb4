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


"""The scenes about guests that a security module confines."""

import dataclasses
from typing import Any

from lab.cloud import cloud as clouds
from lab.demo import stage
from lab.guests import intruder
from lab.machine import recipe

_VERIFY_EVENT = 'isolation_verify'
_REFUSED = 'isolation.svirt.not_enforcing'
#: A host measures itself about once a minute.
_MEASURED_SECONDS = 900
_BOOT_SECONDS = 1800
_DELETE_SECONDS = 900


@dataclasses.dataclass(frozen=True)
class Script:
    """The differences between the security modules."""

    #: The compute host.
    host: str
    specs: dict[str, str]
    #: A command that prints the module's mode, and the enforcing mode.
    mode: tuple[str, ...]
    enforcing: str
    #: Commands that make the module permissive, and enforcing again.
    off: tuple[str, ...]
    on: tuple[str, ...]
    #: The mark of an enforced denial in the audit log.
    denied: str


_APPARMOR_MODE = '/sys/module/apparmor/parameters/mode'
SCRIPTS: dict[recipe.Module, Script] = {
    'selinux': Script(
        'cpu-selinux',
        {
            'isolation:svirt': 'selinux',
            'isolation:svirt_type': 'svirt_offline_t',
        },
        ('getenforce',),
        'Enforcing',
        ('setenforce', '0'),
        ('setenforce', '1'),
        'permissive=0',
    ),
    'apparmor': Script(
        'cpu-apparmor',
        {'isolation:svirt': 'apparmor'},
        ('cat', _APPARMOR_MODE),
        'enforce',
        ('sh', '-c', f'printf complain >{_APPARMOR_MODE}'),
        ('sh', '-c', f'printf enforce >{_APPARMOR_MODE}'),
        'apparmor="DENIED"',
    ),
}


class ConfinedScenes(stage.Stage):
    """The scenes for one security module.

    The cloud has a host with the module, and at least one without any.
    """

    def __init__(self, cloud: clouds.Cloud, module: recipe.Module) -> None:
        super().__init__(cloud)
        self._module = module
        self._script = SCRIPTS[module]
        self._name = f'demo.{module}'

    @property
    def flavor(self) -> str:
        """The flavor that the scenes are about."""
        return self._name

    def run(self) -> None:
        """Show all scenes.

        :raises LabError: at the first claim that is false
        """
        self._host()
        first, second = self._two_guests()
        self._apart(first, second)
        self._guests.delete(first, _DELETE_SECONDS)
        self._guests.delete(second, _DELETE_SECONDS)
        self._not_enforcing()
        self._enforcing_again()

    def _host(self) -> None:
        self._title(
            f'The host {self._script.host}: a machine of its own, as this '
            "one's\n  kernel does not have such a module"
        )
        for command in (
            ('uname', '-r'),
            self._script.mode,
            ('ps', '-o', 'label=', '-C', 'libvirtd'),
        ):
            print(f'  $ {" ".join(command)}: {self._output(command)}')
        self._check_mode(self._script.enforcing)

    def _two_guests(self) -> tuple[Any, Any]:
        self._title('The flavor lands only there, each guest with its label')
        self._flavor(self._name, self._script.specs)
        created = [
            self._guests.create(f'{self._module}-{number}', self._name)
            for number in (1, 2)
        ]
        first, second = (self._active(server) for server in created)
        self._check(
            self._guests.label(first) != self._guests.label(second),
            'the guests have different labels',
        )
        return first, second

    def _active(self, server: Any) -> Any:
        server = self._running(server, self._script.host, _BOOT_SECONDS)
        pid, label = self._guests.qemu_pid(server), self._guests.label(server)
        print(
            f'  {server.name}: ACTIVE on {server.compute_host}\n'
            f'    /proc/{pid}/attr/current: {label}'
        )
        self._check(self._fits(server, label), f'{label} is as asked')
        events = [
            event
            for event in self._guests.events(server)
            if event['event'] == _VERIFY_EVENT
        ]
        for event in events:
            print(f'    event {event["event"]}: {event["result"]}')
        self._check(
            [event['result'] for event in events] == ['Success'],
            f'{server.name} was verified',
        )
        return server

    def _fits(self, server: Any, label: str) -> bool:
        if self._module == 'apparmor':
            return label == f'libvirt-{server.id} (enforce)'
        type_ = self._script.specs['isolation:svirt_type']
        start = f'system_u:system_r:{type_}:s0:c'
        return label.startswith(start) and ',' in label

    def _apart(self, first: Any, second: Any) -> None:
        self._title(
            "The QEMU of one guest opens the other's disk: the kernel denies"
        )
        qemu = intruder.Intruder(self._cloud, first)
        disk = recipe.INSTANCES / second.id / 'disk'
        error = qemu.open_file(disk)
        print(f'  {first.name} opens {disk} (mode 666):\n    {error}')
        self._check('Permission denied' in error, 'it may not')
        line = qemu.denials(
            self._guests.label(first).split()[0], self._object(second)
        )[-1]
        print(f'    {line}')
        self._check(self._script.denied in line, 'it was enforced')
        own = recipe.INSTANCES / first.id / 'disk'
        error = qemu.open_file(own, read_only=True)
        print(f'  {first.name} opens its own: {error or "it may"}')
        self._check(not error, 'its own disk it may open')

    def _object(self, server: Any) -> str:
        """The words for a server's disk in the audit log."""
        if self._module == 'apparmor':
            return str(server.id)
        level = self._guests.label(server).split(':', 3)[3]
        return f'svirt_image_t:{level} '

    def _not_enforcing(self) -> None:
        self._title(f'After {self._shown(self._script.off)}: refused')
        self._output(self._script.off)
        try:
            print(
                f'  $ {" ".join(self._script.mode)}: '
                f'{self._output(self._script.mode)}'
            )
            server = self._guests.boot(
                f'{self._module}-3', self._name, seconds=_BOOT_SECONDS
            )
            self._check(
                server.status == 'ERROR',
                f'{server.name} is refused, not {server.status}',
            )
            print(f'  {server.name}: {server.status}: {self._fault(server)}')
            domains = self._cloud.hosts[self._script.host].virsh(
                self._cloud.supervisor, 'list', '--all', '--uuid'
            )
            self._check(
                server.id not in domains, f'{server.name} has no domain'
            )
            text = self._explained(_REFUSED)
            self._show_explanation(self._name, text)
            self._guests.delete(server, _DELETE_SECONDS)
        finally:
            self._output(self._script.on)

    def _enforcing_again(self) -> None:
        self._title(f'After {self._shown(self._script.on)}: accepted')
        self._check_mode(self._script.enforcing)
        text = self._explained(f'{self._script.host}: accepted')
        for line in text.splitlines():
            if self._script.host in line:
                print(f'  {line}')
        server = self._guests.create(f'{self._module}-4', self._name)
        self._guests.delete(self._active(server), _DELETE_SECONDS)

    def _explained(self, wanted: str) -> str:
        """What explain says, once it contains ``wanted``."""
        return self._wait_explained(self._name, wanted, _MEASURED_SECONDS)

    def _check_mode(self, wanted: str) -> None:
        found = self._output(self._script.mode)
        self._check(found == wanted, f'the mode is {wanted}, not {found}')

    def _output(self, command: tuple[str, ...]) -> str:
        host = self._cloud.hosts[self._script.host]
        result = host.run(self._cloud.supervisor, command)
        self._check(
            result.returncode == 0,
            f'{" ".join(command)} succeeds, not: {result.stderr}',
        )
        return result.stdout.strip()

    @staticmethod
    def _shown(command: tuple[str, ...]) -> str:
        return command[-1] if command[0] == 'sh' else ' '.join(command)
