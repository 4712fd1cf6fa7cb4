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

"""Two of the lab's hosts with libvirtd and the hook, without a cloud."""

from pathlib import Path
from typing import ClassVar
import unittest
import uuid

from lab.config import host_specs
from lab.config import site as sites
from lab.hosts import namespaced_host
from lab.run import errors
from lab.run import layout as layouts
from lab.run import processes
from lab.run import supervisor as supervisors
from nova_isolation.host import domain_metadata

_DOMAIN = """<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <metadata>{metadata}</metadata>
  <memory unit='MiB'>32</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <cpu mode='custom' match='exact'><model>qemu64</model></cpu>
  {more}
</domain>
"""


def metadata(specs: dict[str, str]) -> str:
    """The metadata that Nova writes for a flavor, without Nova's namespace.

    :param specs: the extra specs of the flavor
    """
    rows = ''.join(
        f'<extraSpec name="{key}">{value}</extraSpec>'
        for key, value in specs.items()
    )
    return (
        '<instance><flavor name="small">'
        f'<extraSpecs>{rows}</extraSpecs></flavor></instance>'
    )


def own_metadata(specs: dict[str, str]) -> str:
    """The same with the namespace, as a domain has it."""
    return metadata(specs).replace(
        '<instance>', f'<instance xmlns="{domain_metadata.NAMESPACE}">'
    )


def domain(name: str, specs: dict[str, str], more: str = '') -> str:
    """The XML of a small guest of such a flavor.

    :param name: the name of the guest, from which its UUID is made
    :param more: XML elements to add
    """
    return _DOMAIN.format(
        name=name,
        uuid=uuid.uuid5(uuid.NAMESPACE_DNS, name),
        metadata=own_metadata(specs),
        more=more,
    )


class TestCase(unittest.TestCase):
    """A test of guests that are started without Nova."""

    layout: ClassVar[layouts.Layout]
    supervisor: ClassVar[supervisors.Supervisor]
    hosts: ClassVar[list[namespaced_host.NamespacedHost]]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.layout = layouts.Layout(layouts.default_state('libvirt'))
        running = processes.belonging(cls.layout)
        if running:
            raise errors.LabError(
                f'processes of another run are left: {running}'
            )
        cls.layout.make()
        cls.supervisor = supervisors.Supervisor(cls.layout)
        cls.addClassCleanup(cls._stop)
        site = sites.Site.make(cls.layout)
        cls.hosts = [
            namespaced_host.NamespacedHost(site, host, index)
            for index, host in enumerate(host_specs.known(host_specs.DEFAULT))
        ]
        for host in cls.hosts:
            host.make(cls.supervisor)
            host.start(cls.supervisor)

    @classmethod
    def _stop(cls) -> None:
        cls.supervisor.stop(list(cls.supervisor.daemons()), 15)
        processes.kill(list(processes.belonging(cls.layout)), 10)

    def setUp(self) -> None:
        super().setUp()
        self.here, self.there = self.hosts
        self.name = f'guest-{uuid.uuid4().hex[:8]}'
        self.addCleanup(self._remove)

    def _remove(self) -> None:
        for host in self.hosts:
            for guest in self.guests(host, '--all'):
                if guest in self.guests(host):
                    self.virsh('destroy', guest, host=host)
                if guest in self.guests(host, '--all'):
                    self.virsh('undefine', guest, host=host)

    def virsh(
        self,
        *arguments: str | Path,
        host: namespaced_host.NamespacedHost | None = None,
    ) -> str:
        """Run virsh, by default for the first host.

        :returns: what virsh printed
        """
        return (host or self.here).virsh(self.supervisor, *map(str, arguments))

    def guests(
        self, host: namespaced_host.NamespacedHost, *options: str
    ) -> list[str]:
        """The names of the running guests; with --all, of all guests."""
        return self.virsh('list', '--name', *options, host=host).split()

    def file(self, text: str) -> Path:
        """Write a file with this text."""
        return layouts.write(self.layout.data / f'{uuid.uuid4()}', text)

    def define(self, specs: dict[str, str], more: str = '') -> None:
        """Define the guest of this test on the first host, by hand."""
        self.virsh('define', self.file(domain(self.name, specs, more)))

    def start(self, specs: dict[str, str], more: str = '') -> None:
        """Define and start the guest of this test."""
        self.define(specs, more)
        self.virsh('start', self.name)

    def retag(self, specs: dict[str, str]) -> None:
        """Change the tags of the running guest on its host."""
        self.virsh(
            'metadata', self.name, domain_metadata.NAMESPACE, '--live',
            '--key', 'nova', '--set', metadata(specs),
        )  # fmt: skip

    def restart(
        self, host: namespaced_host.NamespacedHost, reboot: bool = False
    ) -> None:
        """Restart a host's libvirtd.

        :param reboot: whether to simulate a reboot of the host; otherwise
            libvirt does not autostart guests a second time
        """
        self.supervisor.stop([host.daemon], 15)
        if reboot:
            (host.layout.pids / 'autostarted').unlink()
        host.start(self.supervisor)

    def assertVetoed(self, *words: str) -> None:
        """The hook refuses to start the guest, with these words."""
        with self.assertRaises(errors.LabError) as caught:
            self.virsh('start', self.name)
        self.assertHookSays(str(caught.exception), *words)
        self.assertNotIn(self.name, self.guests(self.here))

    def assertHookSays(self, text: str, *words: str) -> None:
        """A message is from the hook and contains these words."""
        self.assertIn('nova-isolation does not let the guest', text)
        for word in words:
            self.assertIn(word, text)
