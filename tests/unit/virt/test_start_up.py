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

"""The guests that nova-compute finds when it starts."""

from nova import exception as nova_exception
from nova.compute import manager
from nova.virt.libvirt import driver as libvirt_driver

from nova_isolation.virt.releases import start_up
from tests.unit import base


class Calling(manager.ComputeManager):
    """A compute manager that makes the check."""

    def init_host(self, service_ref):
        """See Nova's manager."""
        self._validate_vtpm_configuration([])


class Silent(Calling):
    """One that does not."""

    def init_host(self, service_ref):
        """See Nova's manager."""


class StartUpTest(base.TestCase):
    """Before Nova 34, a check of the manager is what tells of the guests."""

    def test_the_installed_nova(self):
        if start_up.StartedDriver is start_up.StartedBefore34:
            start_up._require_check(manager.ComputeManager)
        else:
            # The driver is told by a method of its own.
            self.assertTrue(
                hasattr(
                    libvirt_driver.LibvirtDriver,
                    'process_instances_at_startup',
                )
            )

    def test_a_manager_that_makes_it(self):
        start_up._require_check(Calling)

    def test_a_manager_that_does_not(self):
        error = self.assertRaises(
            nova_exception.InvalidConfiguration,
            start_up._require_check,
            Silent,
        )
        self.assertIn('nova-isolation does not fit this Nova', str(error))
        self.assertIn('_validate_vtpm_configuration', str(error))
