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

"""The libvirt hook on hosts where a security module confines libvirtd too."""

from pathlib import Path
import subprocess
from typing import Any
from typing import ClassVar
import uuid

from lab.hosts import machine_host
from lab.machine import recipe
from nova_isolation.mechanisms.svirt import security_label
from tests.e2e import libvirt_hosts
from tests.e2e import machines

_HOOK = Path('/etc/libvirt/hooks/qemu.d/50-nova-isolation')
_WRONG = 'isolation.svirt.wrong_definition'
#: The type that the policy gives other files in that folder.
_NOT_EXECUTABLE = 'virt_etc_rw_t'


class HookTestCase(machines.TestCase):
    """A test with guests that are started without Nova."""

    def setUp(self) -> None:
        super().setUp()
        self.name = f'guest-{uuid.uuid4().hex[:8]}'

    def hook(
        self, command: str, python: Path = machine_host.PYTHON
    ) -> tuple[int, str]:
        """Run nova-isolation-hook.

        :returns: its exit status and its output
        """
        result = self.host.run(
            self.cloud.supervisor, machine_host.hook_command(command, python)
        )
        return result.returncode, result.stdout + result.stderr

    def assertHook(self, status: int, words: str, *arguments: Any) -> None:
        """nova-isolation-hook ends with this status and prints these words."""
        found, text = self.hook(*arguments)
        self.assertEqual(status, found, text)
        self.assertIn(words, text)

    def own_python(self) -> Path:
        """Another interpreter of the machine's Nova, for this test."""
        own = recipe.VENV / 'bin' / 'python-of-its-own'
        self.addCleanup(self.on_host, 'rm', '-f', own)
        self.on_host('cp', '--dereference', machine_host.PYTHON, own)
        return own

    def create(
        self, specs: dict[str, str], seclabel: str = ''
    ) -> subprocess.CompletedProcess[str]:
        """Start the guest of this test by hand."""
        xml = libvirt_hosts.domain(self.name, specs, seclabel)
        return self.host.run(
            self.cloud.supervisor,
            [
                'sh',
                '-c',
                'printf %s "$1" | virsh -q create /dev/stdin',
                'sh',
                xml,
            ],
        )

    def assertStarts(
        self, label: str, specs: dict[str, str], seclabel: str
    ) -> None:
        """The guest starts, and its label contains these words."""
        result = self.create(specs, seclabel)
        self.assertEqual(0, result.returncode, result.stderr)
        self.addCleanup(self.on_host, 'virsh', '-q', 'destroy', self.name)
        found = self.on_host(
            'sh',
            '-c',
            'cat "/proc/$(cat "$1")/attr/current"',
            'sh',
            f'{self.host.pids}/{self.name}.pid',
        )
        self.assertIn(label, found)

    def assertVetoed(
        self, words: str, specs: dict[str, str], seclabel: str
    ) -> None:
        """The hook refuses the guest, with these words."""
        result = self.create(specs, seclabel)
        self.assertEqual(1, result.returncode, result.stdout)
        for word in ('nova-isolation does not let the guest', _WRONG, words):
            self.assertIn(word, result.stderr)


class SelinuxTest(HookTestCase):
    """libvirtd and the hook run as virtd_t."""

    HOST = machines.SELINUX

    _SPECS: ClassVar = {
        'isolation:svirt': 'selinux',
        'isolation:svirt_type': recipe.PERMISSIVE_TYPE,
    }

    def test_edited_by_hand(self) -> None:
        for words, seclabel in (
            # libvirt confines the guest, but in another type.
            (f':{recipe.PERMISSIVE_TYPE}:', ''),
            ('type="none"', '<seclabel type="none" model="selinux"/>'),
            ('svirt_t:', self._seclabel('svirt_t')),
        ):
            self.assertVetoed(words, self._SPECS, seclabel)

    def test_label_of_the_file(self) -> None:
        self.addCleanup(self.on_host, 'chcon', '-t', 'bin_t', _HOOK)
        self.on_host('chcon', '-t', _NOT_EXECUTABLE, _HOOK)
        self.assertHook(2, 'is not as this', 'status')
        # The command exists to prevent this.
        result = self.create({})
        self.assertEqual(1, result.returncode, result.stdout)
        self.assertIn(f'{_HOOK}: Permission denied', result.stderr)
        self.assertHook(0, 'installed', 'install')
        self.assertIn(':bin_t:', self._label())
        self.assertStarts(
            f':{recipe.PERMISSIVE_TYPE}:s0:c',
            self._SPECS,
            self._seclabel(recipe.PERMISSIVE_TYPE),
        )

    def test_interpreter_that_the_policy_does_not_allow(self) -> None:
        own = self.own_python()
        self.on_host('chcon', '-t', 'user_home_t', own)
        before = self.on_host('cat', _HOOK)
        self.assertHook(
            2, f'virtd_t:s0) execute {own}, whose label is ', 'install', own
        )
        self.assertEqual(before, self.on_host('cat', _HOOK))

    def _label(self) -> str:
        return self.on_host('stat', '-c', '%C', _HOOK)

    @staticmethod
    def _seclabel(type_: str) -> str:
        return (
            '<seclabel type="dynamic" model="selinux" relabel="yes">'
            f'<baselabel>{security_label.base(type_)}</baselabel></seclabel>'
        )


class AppArmorTest(HookTestCase):
    """libvirtd and the hook have the same profile."""

    HOST = machines.APPARMOR

    _SPECS: ClassVar = {'isolation:svirt': 'apparmor'}

    def test_as_the_driver_writes_it(self) -> None:
        seclabel = '<seclabel type="dynamic" model="apparmor" relabel="yes"/>'
        self.assertStarts('libvirt-', self._SPECS, seclabel)

    def test_edited_by_hand(self) -> None:
        self.assertVetoed(
            'type="none"',
            self._SPECS,
            '<seclabel type="none" model="apparmor"/>',
        )

    def test_libvirt_makes_the_label_by_itself(self) -> None:
        # By its default, security_default_confined.
        self.assertStarts('libvirt-', self._SPECS, '')

    def test_interpreter_that_the_profile_does_not_name(self) -> None:
        own = self.own_python()
        self.addCleanup(self.hook, 'install')
        self.assertHook(2, f'{own}: Permission denied', 'install', own)
