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

"""PVH and HVM guests on a host with Xen."""

from collections.abc import Callable
from typing import Any
from typing import ClassVar

from openstack import connection

from lab.cloud import guest_image
from lab.cloud import xen_guest_image
from lab.guests import guests
from lab.guests import xen_domain
from lab.guests import xen_specs
from lab.hosts import xen_host
from lab.xen import check
from lab.xen import image as images
from tests.e2e import xen

#: What Debian's QEMU for Xen has. The host is measured by that file, also for
#: a guest that runs none.
_HARDENED = {
    **xen_specs.ALL,
    'isolation:qemu_hardening': 'pie,nx,relro,bindnow',
}
#: An HVM guest has a device model, and the rest is as for the others.
_EMULATED = {
    key: value
    for key, value in _HARDENED.items()
    if key != 'isolation:xsm_device_model'
}
_DEVICE_MODEL = 'xen-qemu-system-i386'


class KindTestCase(xen.TestCase):
    """Tests of one kind of guest."""

    #: The name of its image, and what uploads that.
    IMAGE: ClassVar[str]
    upload: ClassVar[
        Callable[
            [connection.Connection, images.Image, guest_image.GuestFiles],
            list[str],
        ]
    ]

    def setUp(self) -> None:
        super().setUp()
        host = self.cloud.hosts[xen.HOST]
        assert isinstance(host, xen_host.XenHost)
        for image in type(self).upload(
            self.api,
            host.image,
            guest_image.make(self.cloud.supervisor),
        ):
            self.addCleanup(self.api.image.delete_image, image)
        self.guests = guests.Guests(self.cloud, self.api, self.IMAGE)

    def boot_there(self, specs: dict[str, str]) -> Any:
        """Boot a guest when the host offers what it asks for.

        An HVM guest that runs leaves its dom0 little of the emulated
        processor, so that the host has to measure itself again.

        :returns: the server, which is ACTIVE or ERROR
        """
        flavor = self.flavor(specs)
        self.wait_explained(flavor, f'{xen.HOST}: accepted')
        return self.boot_flavor(flavor)

    def accepted(self, specs: dict[str, str]) -> Any:
        """Boot a guest, which is verified and runs."""
        server = self.boot_there(specs)
        self.assertEqual('ACTIVE', server.status, server.fault)
        self.assertEvent(server, 'isolation_verify', 'Success')
        domain = self.domain(server)
        self.assertEqual(xen.label(), domain.label)
        self.assertNotIn('p', domain.state)
        self.assertEqual(0, domain.backend())
        return server


class PvhTest(KindTestCase):
    """A guest without a device model."""

    IMAGE = xen_guest_image.PVH
    upload = staticmethod(xen_guest_image.upload_pvh)

    def test_all_requirements(self) -> None:
        server = self.accepted(_HARDENED)
        self.assertIn('PVH', self.guests.wait_console(server))
        number = self.domain(server).number
        self.assertEqual([], xen_domain.device_models(self.ssh, number))


class HvmTest(KindTestCase):
    """A guest with a device model in dom0."""

    IMAGE = xen_guest_image.HVM
    upload = staticmethod(xen_guest_image.upload_hvm)

    def test_its_device_model_is_confined(self) -> None:
        server = self.accepted(_EMULATED)
        # It runs. Its kernel takes too long: dom0's processor is emulated, and
        # so is the virtualization that this guest needs. It leaves dom0 too
        # little.
        self.cloud.supervisor.wait(
            f'the firmware of {server.name} on its console',
            lambda: 'SeaBIOS' in self._console(server),
            self.boot_seconds,
            every=2,
            instead=lambda: self._console(server),
        )
        self.api.compute.pause_server(server)
        server = self.guests.wait_status(
            server, ('PAUSED', 'ERROR'), self.boot_seconds
        )
        self.assertEqual('PAUSED', server.status, server.fault)
        number = self.domain(server).number
        (found,) = xen_domain.device_models(self.ssh, number)
        label, command = found.split(maxsplit=1)
        self.assertIn(f':{check.DOMAINS[_DEVICE_MODEL]}:', label)
        self.assertIn(f'/{_DEVICE_MODEL} ', command)

    def test_refused_without_a_device_model(self) -> None:
        server = self.boot_there(_HARDENED)
        self.refused_to_start(server)
        self.guests.wait_fault(server, 'isolation.xsm.device_model')

    def _console(self, server: Any) -> str:
        shown = self.api.compute.get_server_console_output(server)
        return str(shown['output'])
