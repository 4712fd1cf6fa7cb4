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


"""The cloud with the emulated Xen host, and the base class of its tests."""

import functools
from typing import Any

from lab.cloud import cloud as clouds
from lab.cloud import xen_guest_image
from lab.config import host_specs
from lab.guests import guests
from lab.guests import xen_domain
from lab.hosts import xen_host
from lab.xen import recipe
from tests.e2e import base

#: The host with Xen.
HOST = 'cpu-xen'


def label(type_: str = recipe.GUEST_TYPE) -> str:
    """The FLASK label of a guest of this type."""
    return f'system_u:system_r:{type_}'


@functools.cache
def cloud() -> clouds.Cloud:
    """The cloud with the Xen machine, for this test run."""
    return base.start_cloud(
        'e2e-xen', host_specs.known([HOST]), 'LAB_XEN_STATE'
    )


class TestCase(base.TestCase):
    """A test on the host with Xen."""

    boot_seconds = 1800.0
    delete_seconds = 900.0
    # The host measures itself every minute (lab.config.host_specs).
    explain_seconds = 900.0

    @classmethod
    def use_cloud(cls) -> clouds.Cloud:
        """The cloud with the machine."""
        return cloud()

    def setUp(self) -> None:
        super().setUp()
        self.guests = guests.Guests(
            self.cloud, self.api, xen_guest_image.IMAGE
        )
        host = self.cloud.hosts[HOST]
        assert isinstance(host, xen_host.XenHost)
        self.ssh = host.ssh(self.cloud.supervisor)

    def domain(self, server: Any) -> xen_domain.Domain:
        """The domain of a server."""
        return xen_domain.Domain(
            self.cloud.supervisor, self.ssh, server.instance_name
        )

    def reverified(self, server: Any) -> list[str]:
        """The results of the verifications of a running guest."""
        return [
            event['result']
            for event in self.guests.events(server)
            if event['event'] == 'isolation_reverify'
        ]
