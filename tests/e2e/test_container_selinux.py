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

"""nova-compute in a container as of EDPM, on a host that enforces SELinux.

libvirt's daemon there has the names of virtqemud (lab.hosts.virtqemud).
"""

import functools
from typing import ClassVar

from lab.cloud import cloud as clouds
from lab.config import edpm
from lab.config import host_specs
from lab.daemons import nova
from lab.hosts import container
from tests.e2e import base
from tests.e2e import machines

_SPECS = {
    'isolation:svirt': 'selinux',
    'isolation:qemu_hardening': 'pie',
    'isolation:qemu_sandbox': 'true',
    # QEMU of Debian 13 has none.
    'isolation:qemu_absent': 'sga',
}


@functools.cache
def cloud() -> clouds.Cloud:
    """The cloud whose only host is the machine, with the container."""
    (spec,) = host_specs.known([machines.SELINUX])
    return base.start_cloud(
        'e2e-rhoso',
        [spec.laid_out('container')],
        'LAB_STATE_CONTAINER_SELINUX',
    )


class ContainerTest(machines.TestCase):
    """One guest, which everything is asked of that EDPM can promise."""

    HOST = machines.SELINUX
    SHARED: ClassVar = (_SPECS,)

    @classmethod
    def use_cloud(cls) -> clouds.Cloud:
        """The cloud with the container."""
        return cloud()

    def test_it_is_a_container_of_user_nova(self) -> None:
        pid = self.on_host(
            'systemctl', 'show', '-P', 'MainPID', 'nova-compute'
        )
        libvirt = self.on_host('cat', '/run/libvirt/qemu/driver.pid')
        for kind, same in (('pid', True), ('mnt', False)):
            here, there = (
                self.on_host('readlink', f'/proc/{one}/ns/{kind}')
                for one in (pid, libvirt)
            )
            self.assertEqual(same, here == there, kind)
        self.assertEqual(
            'virtqemud', self.on_host('cat', f'/proc/{libvirt}/comm')
        )
        self.assertEqual(
            'nova', self.on_host('stat', '--format=%U', f'/proc/{pid}')
        )
        root = f'/proc/{pid}/root'
        self.assertEqual('', self.on_host(
            'find', f'{root}/usr/bin', '-name', 'qemu-system-*'
        ))  # fmt: skip
        self.assertEqual('Enforcing', self.on_host('getenforce'))

    def test_the_guest_is_verified_and_runs(self) -> None:
        (server,) = self.shared
        self.assertRuns(server)
        self.assertIn(':svirt_t:', self.guests.label(server))

    def test_without_selinuxfs(self) -> None:
        # It leaves the machine's only processor, which is emulated, to others.
        (server,) = self.shared
        self.api.compute.pause_server(server)
        self.guests.wait_status(server, ('PAUSED',))
        self.addCleanup(self.api.compute.unpause_server, server)
        site, daemon = self.cloud.site, nova.compute_name(self.HOST)
        (volume,) = edpm.extra_volumes()
        self.addCleanup(self.cloud.restart, daemon)
        self.addCleanup(container.take_away, site, self.HOST, [])
        container.take_away(site, self.HOST, [str(volume.target)])
        self.cloud.restart(daemon)
        flavor = self.flavor({'isolation:svirt': 'selinux'})
        self.assertNoValidHost(self.boot_flavor(flavor))
        self.wait_explained(flavor, 'isolation.svirt.selinux_unseen')
