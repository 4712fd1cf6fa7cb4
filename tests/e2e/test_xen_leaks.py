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

"""That the search for leaks on a host with Xen finds each kind of them."""

from lab.machine import recipe as machine
from lab.xen import recipe
from tests.e2e import xen
from tests.e2e import xen_hypervisor
from tests.e2e import xen_leaks

#: A number that no domain of a test gets.
_UNUSED = 32000
_UUID = '9d3e8a52-6b1f-4c07-9a44-2f3c5d6e7f80'


class LeaksTest(xen.TestCase):
    """The host has none before, and each kind is named."""

    def test_each_kind_is_found(self) -> None:
        hypervisor = xen_hypervisor.Hypervisor(self.ssh)
        # Before, and after what is made here is removed.
        xen_leaks.check(self.cloud, self.ssh, self.api)
        self.addCleanup(xen_leaks.check, self.cloud, self.ssh, self.api)
        folder = machine.INSTANCES / _UUID
        console = recipe.CONSOLES / 'guest-instance-0000ffff.log'
        userdata = f'/var/lib/xen/userdata-d.{_UNUSED}.{_UUID}.libvirt-xml'
        path = f'/libxl/{_UNUSED}'
        backend = f'/local/domain/0/backend/vbd/{_UNUSED}'
        self.addCleanup(
            self.ssh.run,
            [
                'sh',
                '-c',
                f'losetup --detach $(losetup --noheadings --output NAME '
                f'--associated {folder}/disk); rm -r {folder} {console} '
                f'{userdata}; xenstore-rm {path}; xenstore-rm {backend}; '
                f'pkill -f "[-]xen-domid {_UNUSED} "',
            ],
        )
        self.addCleanup(hypervisor.destroy, _UNUSED)
        hypervisor.create(_UNUSED, xen.label('domU_t'))
        self.ssh.check(
            [
                'sh',
                '-ec',
                f'mkdir {folder}; truncate -s 1M {folder}/disk; '
                f'losetup --find {folder}/disk; echo text >{console}; '
                f'echo x >{userdata}; xenstore-write {path}/x y {backend}/x y;'
                f'python3 -c "import time; time.sleep(600)" '
                f'-xen-domid {_UNUSED} x </dev/null >/dev/null 2>&1 &',
            ]
        )
        self.assertEqual(
            {
                'domain',
                'folder',
                'grants',
                'loop',
                'console',
                'userdata',
                'xenstore',
                'process',
            },
            {one.split()[0] for one in xen_leaks.found(self.ssh, self.api)},
        )
