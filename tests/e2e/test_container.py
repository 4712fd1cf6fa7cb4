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

"""nova-compute in a container of its own, without QEMU and /etc/libvirt."""

import functools
from pathlib import Path
from typing import ClassVar

from lab.cloud import cloud as clouds
from lab.config import host_specs
from lab.daemons import nova
from lab.hosts import container
from tests.e2e import base

_NAMESPACES = ('pid', 'mnt', 'uts')


@functools.cache
def cloud() -> clouds.Cloud:
    """The cloud whose only host has its nova-compute in a container."""
    (spec,) = host_specs.known([base.HARDENED])
    return base.start_cloud(
        'e2e-container', [spec.laid_out('container')], 'LAB_STATE_CONTAINER'
    )


class ContainerTest(base.TestCase):
    """One host, whose nova-compute has only the volumes of a deployer."""

    #: Everything that needs the process, its file, and the emulator's file.
    SPECS: ClassVar = {
        'isolation:qemu_hardening': 'pie,nx,relro',
        'isolation:qemu_sandbox': 'true',
    }

    @classmethod
    def use_cloud(cls) -> clouds.Cloud:
        """The cloud with the container."""
        return cloud()

    def setUp(self) -> None:
        super().setUp()
        self.host = self.cloud.hosts[base.HARDENED]
        self.daemon = nova.compute_name(base.HARDENED)

    def take_away(self, *targets: str) -> None:
        """Start nova-compute without these folders, until the test ends."""
        site = self.cloud.site
        self.addCleanup(self.cloud.restart, self.daemon)
        self.addCleanup(container.take_away, site, base.HARDENED, [])
        container.take_away(site, base.HARDENED, targets)
        self.cloud.restart(self.daemon)

    def nova_compute(self) -> Path:
        """The folder in /proc of nova-compute, the container's first."""
        outer = self.cloud.supervisor.daemons()[self.daemon].pid
        children = Path(f'/proc/{outer}/task/{outer}/children').read_text()
        (pid,) = children.split()
        return Path('/proc', pid)

    def test_it_is_a_container(self) -> None:
        here = self.nova_compute()
        libvirtd = self.cloud.supervisor.daemons()[self.host.daemon].pid
        for kind in _NAMESPACES:
            self.assertNotEqual(
                (here / 'ns' / kind).readlink(),
                Path(f'/proc/{libvirtd}/ns/{kind}').readlink(),
                kind,
            )
        root = here / 'root'
        self.assertTrue((root / 'usr/bin/qemu-img').exists())
        self.assertEqual([], list(root.glob('usr/bin/qemu-system-*')))
        self.assertFalse((root / 'etc/libvirt').exists())
        self.assertNotEqual(0, here.stat().st_uid)

    def test_a_tagged_guest_is_verified_and_runs(self) -> None:
        server = self.boot(self.SPECS)
        self.assertActive(server, base.HARDENED)
        self.assertEvent(server, 'isolation_verify', 'Success')
        process = self.guests.process(server)
        self.assertEqual(2, process.seccomp)
        self.assertTrue(process.runs(self.host.emulator()))

    def test_without_the_host_s_processes(self) -> None:
        self.take_away('/host/proc')
        flavor = self.flavor(self.SPECS)
        self.assertNoValidHost(self.boot_flavor(flavor))
        self.assertExplained(flavor, 'isolation.host.pid_namespace')
        self.assertActive(self.boot(), base.HARDENED)

    def test_without_libvirt_s_pid_files(self) -> None:
        self.take_away('/run/libvirt/qemu')
        flavor = self.flavor(self.SPECS)
        self.assertNoValidHost(self.boot_flavor(flavor))
        self.assertExplained(flavor, 'isolation.host.pid_files')
