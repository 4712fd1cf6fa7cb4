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


"""The machine with Xen, without a cloud: what its hypervisor does."""

from typing import ClassVar
import unittest

from lab.guests import xen_domain
from lab.guests import xen_virsh
from lab.machine import cache
from lab.machine import restore
from lab.machine import ssh as connections
from lab.run import errors
from lab.run import layout as layouts
from lab.run import marks
from lab.run import processes
from lab.run import progress as progresses
from lab.run import supervisor as supervisors
from lab.xen import check
from lab.xen import driver_domain
from lab.xen import machine
from lab.xen import recipe

_ISOLATED, _PLAIN = recipe.GUEST_TYPE, 'domU_t'
_SECONDS = 600


class XenMachineTest(unittest.TestCase):
    """One restore, which all tests share, with a guest for each type."""

    layout: ClassVar[layouts.Layout]
    supervisor: ClassVar[supervisors.Supervisor]
    ssh: ClassVar[connections.Ssh]
    domains: ClassVar[dict[str, xen_domain.Domain]]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.layout = layouts.Layout(layouts.default_state('e2e-xen-machine'))
        running = processes.belonging(cls.layout)
        if running:
            raise errors.LabError(
                f'processes of another run are left: {running}'
            )
        cls.layout.make()
        cls.supervisor = supervisors.Supervisor(cls.layout)
        source = cache.image(
            machine.KIND, cls.supervisor, progresses.Progress()
        )
        cls.ssh = cls.enterClassContext(
            restore.restored(
                cls.supervisor,
                machine.KIND,
                source,
                recipe.BOOT,
                cls.layout.state / restore.NAME,
            )
        )
        cls.domains = {
            name: xen_virsh.create(cls.supervisor, cls.ssh, name, type_)
            for name, type_ in (
                ('isolated-1', _ISOLATED),
                ('isolated-2', _ISOLATED),
                ('plain-1', _PLAIN),
                ('plain-2', _PLAIN),
            )
        }
        for domain in cls.domains.values():
            cls.supervisor.wait(
                f'the guest {domain.name}',
                lambda domain=domain: (
                    marks.GUEST_UP  # type: ignore
                    in cls.ssh.run(['cat', domain.console]).stdout
                ),
                _SECONDS,
                every=1,
            )

    def denials(self) -> list[str]:
        """What the hypervisor has denied."""
        return [
            line
            for line in self.ssh.check(['xl', 'dmesg']).splitlines()
            if 'avc:  denied' in line
        ]

    def assertApart(self, one: str, other: str) -> None:
        """Neither an event channel nor a page joins the two."""
        before = len(self.denials())
        first, second = self.domains[one], self.domains[other]
        for offer, use in (('listen', 'bind'), ('share', 'map')):
            said = first.peer(offer, str(second.number))
            if said.startswith('allowed'):
                said = second.peer(use, str(first.number), said.split()[-1])
            self.assertRegex(said, '^refused: ', (offer, one, other))
        self.assertGreater(len(self.denials()), before)

    def test_it_has_what_a_failure_needs(self) -> None:
        for name, wanted in (('panic', '-1'), ('panic_on_oops', '1')):
            found = self.ssh.check(['cat', f'/proc/sys/kernel/{name}'])
            self.assertEqual(wanted, found.strip(), name)
        self.assertEqual('1', self.ssh.check(['nproc']).strip())
        check.check(self.ssh, recipe.BOOT)
        check.check_driver_domain(self.ssh)

    def test_labels(self) -> None:
        for name, domain in self.domains.items():
            type_ = _ISOLATED if name.startswith('isolated') else _PLAIN
            self.assertEqual(f'system_u:system_r:{type_}', domain.label)

    def test_plain_guests_reach_each_other(self) -> None:
        first, second = self.domains['plain-1'], self.domains['plain-2']
        for offer, use in (('listen', 'bind'), ('share', 'map')):
            said = first.peer(offer, str(second.number))
            self.assertRegex(said, '^allowed: [0-9]+$')
            said = second.peer(use, str(first.number), said.split()[-1])
            self.assertRegex(said, '^allowed: [0-9]+$')

    def test_isolated_guests_do_not(self) -> None:
        self.assertApart('isolated-1', 'isolated-2')

    def test_nor_an_isolated_and_a_plain_one(self) -> None:
        self.assertApart('isolated-1', 'plain-1')
        self.assertApart('plain-2', 'isolated-2')

    def test_libvirt_starts_a_guest_with_a_label_that_nobody_knows(
        self,
    ) -> None:
        """Why the driver of this project does not believe libvirt."""
        domain = xen_virsh.create(
            self.supervisor, self.ssh, 'unknown', 'no_such_t'
        )
        self.addCleanup(xen_virsh.destroy, self.ssh, domain.name)
        self.assertEqual('system_u:system_r:domU_t', domain.label)

    def test_the_driver_domain_serves_a_disk(self) -> None:
        domain = xen_virsh.create(
            self.supervisor, self.ssh, 'served', _ISOLATED, served=True
        )
        self.addCleanup(xen_virsh.destroy, self.ssh, domain.name)
        self.supervisor.wait('its disk', domain.connected, _SECONDS)
        number = self.ssh.check(['xl', 'domid', driver_domain.NAME])
        self.assertEqual(int(number), domain.backend())
