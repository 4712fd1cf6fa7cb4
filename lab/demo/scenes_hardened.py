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

"""The scenes about guests with a hardened QEMU."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openstack import exceptions

from lab.cloud import cloud as clouds
from lab.cloud import explain
from lab.demo import stage
from lab.hosts import compute_host
from lab.hosts import executable_stack

HARDENED = 'demo.hardened'
_HARDENED_SPECS = {
    'isolation:qemu_hardening': 'pie,nx,relro',
    'isolation:qemu_sandbox': 'true',
}
_SELINUX = 'demo.selinux'
_SELINUX_SPECS = {'isolation:svirt': 'selinux'}
_UNTAGGED = 'demo.untagged'
_GOOD, _PLAIN = 'cpu-hardened', 'cpu-plain'
_VERIFY_EVENT = 'isolation_verify'


class HardenedScenes(stage.Stage):
    """The scenes, on a cloud with the default compute hosts."""

    def __init__(self, cloud: clouds.Cloud) -> None:
        super().__init__(cloud)
        self._rows: list[tuple[str, str, str, str]] = []

    def run(self) -> None:
        """Show all scenes.

        :raises LabError: at the first claim that is false
        """
        self._hosts()
        self._lands_where_it_may()
        self._refused_elsewhere()
        self._refused_everywhere()
        self._untagged_anywhere()
        self._mistyped()
        self._summary()

    def _hosts(self) -> None:
        self._title('The hosts: both run real guests, they differ in QEMU')
        for name, host in self._cloud.hosts.items():
            stack = executable_stack.is_set(host.emulator())
            print(
                f'  {name:13} {host.emulator()}\n'
                f'  {"":13} executable stack: {"yes" if stack else "no"}, '
                f'seccomp_sandbox = {int(host.spec.sandbox)}'
            )
            self._check(
                stack == (name == _PLAIN),
                f'the executable stack of {name} is as planned',
            )

    def _lands_where_it_may(self) -> None:
        self._title('A hardened flavor lands only on the hardened host')
        self._flavor(HARDENED, _HARDENED_SPECS)
        servers = [
            self._guests.create(f'hardened-{number}', HARDENED)
            for number in (1, 2, 3)
        ]
        for server in servers:
            server = self._active(server, _GOOD, HARDENED, _HARDENED_SPECS)
            self._verified(server)
            self._guests.delete(server)

    def _verified(self, server: Any) -> None:
        events = [
            event
            for event in self._guests.events(server)
            if event['event'] == _VERIFY_EVENT
        ]
        self._check(bool(events), f'{server.name} has a {_VERIFY_EVENT} event')
        for event in events:
            print(
                f'  {server.name}: event {event["event"]} on '
                f'{event["host"]}: {event["result"]}'
            )
            self._check(
                event['result'] == 'Success',
                f'{_VERIFY_EVENT} of {server.name} succeeded',
            )

    def _refused_elsewhere(self) -> None:
        self._title(f'Without {_GOOD}, the hardened flavor runs nowhere')
        service = next(
            iter(self._api.compute.services(host=_GOOD, binary='nova-compute'))
        )
        self._api.compute.disable_service(service)
        try:
            server = self._guests.boot('hardened-4', HARDENED)
            self._refused(
                server, HARDENED, _HARDENED_SPECS, f'{_GOOD} disabled'
            )
            self._explained(
                HARDENED,
                {
                    _PLAIN: (
                        'isolation.qemu.not_hardened',
                        'isolation.qemu.no_sandbox',
                    )
                },
            )
        finally:
            self._api.compute.enable_service(service)

    def _refused_everywhere(self) -> None:
        self._title('No host of this machine confines guests with SELinux')
        if Path('/sys/fs/selinux').exists():
            print('  skipped: this machine has SELinux')
            return
        self._flavor(_SELINUX, _SELINUX_SPECS)
        server = self._guests.boot('selinux', _SELINUX)
        self._refused(server, _SELINUX, _SELINUX_SPECS)
        reason = ('isolation.svirt.no_model',)
        self._explained(_SELINUX, {_GOOD: reason, _PLAIN: reason})
        server = self._guests.boot(
            'selinux-forced', _SELINUX, availability_zone=f'nova:{_GOOD}'
        )
        self._refused(
            server, _SELINUX, _SELINUX_SPECS, f'forced by nova:{_GOOD}'
        )

    def _untagged_anywhere(self) -> None:
        self._title('A flavor without tags runs on every host')
        self._flavor(_UNTAGGED, {})
        servers = {
            name: self._guests.create(
                f'untagged-on-{name}', _UNTAGGED, host=name
            )
            for name in self._cloud.hosts
        }
        for name, server in servers.items():
            self._guests.delete(self._active(server, name, _UNTAGGED, {}))

    def _mistyped(self) -> None:
        self._title('A tag that nobody would enforce cannot be set')
        for specs in (
            {'isolation:svrit': 'selinux'},
            {'isolation:qemu_hardening': 'pie,magic'},
        ):
            try:
                self._guests.flavor('demo.mistyped', specs)
            except exceptions.BadRequestException as error:
                print(f'  {self._tags(specs)}: HTTP {error.status_code}')
                print(f'    {error.details}')
                self._rows.append(
                    ('(none)', self._tags(specs), 'HTTP 400', 'flavor refused')
                )
            else:
                self._fail(f'{self._tags(specs)} was not refused')

    def _active(
        self, server: Any, host: str, flavor: str, specs: dict[str, str]
    ) -> Any:
        server = self._running(server, host)
        self._guests.wait_console(server)
        process = self._guests.process(server)
        there = self._cloud.hosts[host]
        self._check(
            process.runs(there.emulator()),
            f'{server.name} runs {there.emulator()}',
        )
        self._check(
            process.seccomp == (2 if there.spec.sandbox else 0),
            f'Seccomp of {server.name} is {process.seccomp}',
        )
        stack = executable_stack.is_set(process.executable)
        self._check(
            not specs or not (stack or process.seccomp != 2),
            f'{server.name} is as its flavor demands',
        )
        read = (
            f'Seccomp: {process.seccomp}, executable stack: '
            f'{"yes" if stack else "no"}, console seen'
        )
        if not process.runs(compute_host.EMULATOR):
            read += ', patched QEMU'
        print(
            f'  {server.name}: ACTIVE on {host}; process {process.pid}: {read}'
        )
        self._rows.append((flavor, self._tags(specs), host, read))
        return server

    def _refused(
        self,
        server: Any,
        flavor: str,
        specs: dict[str, str],
        circumstance: str = '',
    ) -> None:
        self._check(
            server.status == 'ERROR',
            f'{server.name} is refused, not {server.status} on '
            f'{server.compute_host}',
        )
        fault = self._fault(server)
        self._check(
            'No valid host' in fault,
            f'the fault of {server.name} says "No valid host", not "{fault}"',
        )
        print(f'  {server.name}: {server.status}: {fault}')
        verified = 'no guest was started'
        self._check_no_domain(server)
        self._rows.append(
            (
                flavor,
                self._tags(specs),
                'refused',
                '; '.join(part for part in (circumstance, verified) if part),
            )
        )
        self._guests.delete(server)

    def _explained(
        self, flavor: str, expected: dict[str, Sequence[str]]
    ) -> None:
        text = explain.explain(self._cloud, flavor)
        self._show_explanation(flavor, text)
        for host, codes in expected.items():
            for word in (host, *codes):
                self._check(word in text, f'explain {flavor} names {word}')

    def _summary(self) -> None:
        self._title('Summary')
        head = ('FLAVOR', 'TAGS', 'WHERE', 'READ BACK ON THE HOST')
        rows = [head, *self._rows]
        widths = [
            max(len(row[column]) for row in rows)
            for column in range(len(head) - 1)
        ]
        for row in rows:
            cells = [
                cell.ljust(width)
                for cell, width in zip(row, widths, strict=False)
            ]
            print('  ' + '  '.join([*cells, row[-1]]))
        print(
            '\n  Not shown here: Xen, and what tools/demo.sh shows --with '
            'selinux and\n  --with apparmor, on a machine that has them.'
        )
