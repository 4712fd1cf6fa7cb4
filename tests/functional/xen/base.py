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

"""The base of the functional tests of the Xen driver."""

import typing

import fixtures as base_fixtures
from nova.tests import fixtures as nova_fixtures
from nova.tests.functional.libvirt import base

from nova_isolation.virt.xen import driver as xen_driver
from tests.functional import base as functional_base
from tests.functional.xen import fixtures

#: Imported now: Nova's harness patches methods whose signatures it checks.
DRIVER = xen_driver.IsolationXenDriver


class TestCase(functional_base.TestCase):
    """All of Nova, with the Xen driver on a fake libxl."""

    CAST_AS_CALL = False

    def setUp(self) -> None:
        super().setUp()
        self.useFixture(
            base_fixtures.MonkeyPatch(
                'nova_isolation.virt.xen.driver.xen_host.XenHost', fixtures.Xen
            )
        )
        # Nova's images have no kernel.
        self.flags(hw_machine_type=['x86_64=xenpv'], group='libvirt')
        # The driver reads the folder as root.
        self.useFixture(nova_fixtures.PrivsepFixture())
        self.flags(
            xen_console_log_dir=self.useFixture(base_fixtures.TempDir()).path,
            group='isolation',
        )

    def _setup_compute_service(self) -> None:
        self.flags(compute_driver='isolation.IsolationXenDriver')

    def _get_connection(
        self, *args: typing.Any, hostname: str = '', **kwargs: typing.Any
    ) -> fixtures.Connection:
        host_info = base.fakelibvirt.HostInfo(
            cpu_nodes=1, cpu_sockets=1, cpu_cores=4, cpu_threads=1
        )
        name = args[-1] if args else hostname
        return fixtures.Connection(
            self.machines[name], host_info=host_info, hostname=name
        )

    def tagged(self) -> str:
        """A flavor that asks for a label of FLASK."""
        return self.flavor(xsm_label='isolated_domU_t')
