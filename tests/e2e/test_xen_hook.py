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

"""The libvirt hook in dom0 refuses guests that are started without Nova."""

from typing import Any
import uuid

from lab.guests import xen_domain
from lab.guests import xen_specs
from lab.guests import xen_virsh
from lab.run import errors
from lab.xen import recipe
from tests.e2e import libvirt_hosts
from tests.e2e import xen

#: What the driver writes for a tagged guest.
_KEPT = 'preserve'


class HookTest(xen.TestCase):
    """``virsh create`` of a guest with the tags of a flavor."""

    def setUp(self) -> None:
        super().setUp()
        self.name = f'guest-{uuid.uuid4().hex[:8]}'

    def create(
        self, type_: str, specs: dict[str, str], on_reboot: str = _KEPT
    ) -> xen_domain.Domain:
        """Start the guest of this test by hand.

        :raises LabError: when libvirt does not start it
        """
        domain = xen_virsh.create(
            self.cloud.supervisor,
            self.ssh,
            self.name,
            type_,
            metadata=libvirt_hosts.own_metadata(specs),
            on_reboot=on_reboot,
        )
        self.addCleanup(xen_virsh.destroy, self.ssh, self.name)
        return domain

    def assertVetoed(self, *words: str, **guest: Any) -> None:
        """The hook refuses the guest, with these words."""
        with self.assertRaises(errors.LabError) as caught:
            self.create(**guest)
        for word in ('nova-isolation does not let the guest', *words):
            self.assertIn(word, str(caught.exception))
        domain = xen_domain.Domain(self.cloud.supervisor, self.ssh, self.name)
        self.assertFalse(domain.exists)

    def test_as_the_driver_writes_it(self) -> None:
        domain = self.create(recipe.GUEST_TYPE, xen_specs.ALL)
        self.assertEqual(xen.label(), domain.label)

    def test_untagged(self) -> None:
        domain = self.create('domU_t', {}, on_reboot='restart')
        self.assertEqual(xen.label('domU_t'), domain.label)

    def test_another_label(self) -> None:
        self.assertVetoed(
            'isolation.xsm.wrong_definition',
            'reboot --hard',
            type_='domU_t',
            specs=xen_specs.ALL,
        )

    def test_libvirt_would_reboot_it(self) -> None:
        self.assertVetoed(
            'isolation.verify.self_reboot',
            type_=recipe.GUEST_TYPE,
            specs=xen_specs.ALL,
            on_reboot='restart',
        )
