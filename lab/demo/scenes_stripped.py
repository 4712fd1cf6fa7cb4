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

"""The scenes of the demonstration with a QEMU that has less in it."""

import json
from pathlib import Path
from typing import Any

from lab.cloud import cloud as clouds
from lab.cloud import explain
from lab.demo import stage
from lab.hosts import compute_host
from lab.run import errors
from lab.run import layout as layouts

#: The host whose QEMU the lab has built.
HOST = 'cpu-stripped'
FLAVOR = 'demo.alice'
_SPECS = {
    'isolation:qemu_absent': 'all',
    'isolation:qemu_hardening': 'pie,nx,relro,bindnow,canary,fortify,cet',
    'isolation:qemu_sandbox': 'true',
}
_GROUPS, _GROUP_SPECS = 'demo.no-usb', {'isolation:qemu_absent': 'usb,sound'}
_USB, _USB_SPECS = (
    'demo.sound',
    {'isolation:qemu_absent': 'sound', 'hw:sound_model': 'ac97'},
)
_UNTAGGED = 'demo.untagged'
_COMPONENTS, _WORDS = 50, 7


class StrippedScenes(stage.Stage):
    """The scenes, on a cloud with a stock host and a host with this QEMU."""

    def __init__(self, cloud: clouds.Cloud) -> None:
        super().__init__(cloud)
        self._own = self._cloud.hosts[HOST].emulator()

    def run(self) -> None:
        """Show all scenes.

        :raises LabError: at the first claim that is false
        """
        self._recipe()
        self._examine()
        self._lands_only_there()
        self._refused_elsewhere()
        self._refused_early()
        self._untagged()

    def _recipe(self) -> None:
        self._title('Alice builds her QEMU by the recipe for her flavor')
        self._flavor(FLAVOR, _SPECS)
        found = json.loads(
            self._manage(
                'qemu', 'recipe', '--flavor', FLAVOR, '--needed-only',
                '--format', 'json',
            )
        )  # fmt: skip
        self._check(
            len(found['absent']) == _COMPONENTS,
            f'the recipe leaves {_COMPONENTS} components out',
        )
        left_out = sum(line.endswith('=n') for line in found['devices'])
        print(
            f'  $ nova-isolation-manage qemu recipe --flavor {FLAVOR} '
            '--needed-only\n'
            f'    {len(found["absent"])} components left out, by {left_out} '
            f'symbols of Kconfig and {len(found["configure"])} options of '
            'configure'
        )

    def _examine(self) -> None:
        self._title("What Debian's QEMU has, and what hers has")
        stock = self._examined(compute_host.EMULATOR)
        own = self._examined(self._own)
        self._check(
            len(stock['present']) == _COMPONENTS - 1,
            "Debian's QEMU lacks one component",
        )
        self._check(not own['present'], 'her QEMU has no component')
        self._check(
            len(own['hardening']) == _WORDS,
            f'her QEMU has all {_WORDS} words of hardening',
        )
        self._check(
            own['size'] < stock['size'] * 0.6,
            'her QEMU is about half the size',
        )
        for name, found in (('Debian', stock), ('Alice', own)):
            print(
                f'  {name:7} {found["size"]:9} bytes, '
                f'{len(found["present"])} of {_COMPONENTS} components, '
                f'hardening {",".join(found["hardening"])}'
            )
        for loss in own['lost']:
            print(f'    costs: {loss["use"]}')

    def _lands_only_there(self) -> None:
        self._title('Her flavor lands only on her QEMU')
        for name, flavor, specs in (
            ('alice', FLAVOR, _SPECS),
            ('no-usb', _GROUPS, _GROUP_SPECS),
        ):
            if flavor != FLAVOR:
                self._flavor(flavor, specs)
            server = self._guests.create(name, flavor)
            self._verified(self._active(server, HOST))
            self._guests.delete(server)

    def _refused_elsewhere(self) -> None:
        self._title("Debian's QEMU is refused, and says what it has")
        server = self._guests.boot(
            'alice-elsewhere', FLAVOR, availability_zone='nova:cpu-hardened'
        )
        self._refused(server, 'No valid host')
        text = explain.explain(self._cloud, FLAVOR)
        line = next(one for one in text.splitlines() if 'cirrus' in one)
        print(f'  {line.strip()[:100]}...')
        for words in ('isolation.qemu.component_present', f'{HOST}: accepted'):
            self._check(words in text, f'explain says {words}')

    def _refused_early(self) -> None:
        self._title('What no such QEMU can give is refused at once')
        self._flavor(_USB, _USB_SPECS)
        server = self._guests.boot('sound', _USB)
        self._refused(server, 'isolation.qemu.device_absent')

    def _untagged(self) -> None:
        self._title('A flavor without tags runs on it as well')
        self._flavor(_UNTAGGED, {})
        server = self._guests.create('untagged', _UNTAGGED, host=HOST)
        self._guests.delete(self._active(server, HOST))

    def _active(self, server: Any, host: str) -> Any:
        server = self._running(server, host)
        self._guests.wait_console(server)
        process = self._guests.process(server)
        self._check(process.runs(self._own), f'{server.name} runs {self._own}')
        print(
            f'  {server.name}: ACTIVE on {host}; process {process.pid} runs '
            f'her QEMU, Seccomp: {process.seccomp}, console seen'
        )
        return server

    def _verified(self, server: Any) -> None:
        found = [
            one['result']
            for one in self._guests.events(server)
            if one['event'] == 'isolation_verify'
        ]
        self._check(
            found == ['Success'], f'{server.name} was verified: {found}'
        )
        print(f'  {server.name}: event isolation_verify: Success')

    def _refused(self, server: Any, words: str) -> None:
        fault = self._fault(server)
        self._check(
            server.status == 'ERROR' and words in fault,
            f'{server.name} is refused with {words}, not {server.status}: '
            f'{fault}',
        )
        print(f'  {server.name}: {server.status}: {fault[:150]}')
        self._guests.delete(server)

    def _examined(self, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            self._manage('qemu', 'examine', '--format', 'json', str(path))
        )
        return found

    def _manage(self, *words: str) -> str:
        result = self._cloud.supervisor.output(
            [
                layouts.BIN / 'nova-isolation-manage',
                '--config-file',
                self._cloud.layout.nova_conf,
                *words,
            ]
        )
        if result.returncode:
            raise errors.LabError(
                f'nova-isolation-manage {" ".join(words)}: {result.stderr}'
            )
        return result.stdout
