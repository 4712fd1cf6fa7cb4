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
"""What Nova must do is tried with the Nova that is installed."""

from nova import exception
import nova.conf
from nova.virt.libvirt import config

from nova_isolation.host import domain_metadata
from nova_isolation.virt import behaviour
from nova_isolation.virt import driver
from tests.unit import base


class Forgetful(driver.IsolationDriver):
    """With a Nova that writes no extra specs, as stock Nova 31."""

    def _get_guest_config_meta(self, dmeta):
        dmeta.flavor.extra_specs = {}
        return super()._get_guest_config_meta(dmeta)


class Renaming(driver.IsolationDriver):
    """With a Nova that writes them in another place."""

    def _get_guest_config_meta(self, dmeta):
        meta = super()._get_guest_config_meta(dmeta)

        class Other(config.LibvirtConfigGuestMetaNovaInstance):
            def format_dom(self):
                root = meta.format_dom()
                for one in root.iter('{*}extraSpecs'):
                    one.tag = 'properties'
                return root

        return Other()


class BehaviourTest(base.TestCase):
    def setUp(self):
        super().setUp()
        # As a service of Nova does.
        nova.conf.CONF([], project='nova', default_config_files=[])
        self.addCleanup(nova.conf.CONF.reset)

    def check(self, driver_class):
        # Only methods that need nothing of the host are called.
        behaviour.check(object.__new__(driver_class))

    def test_extra_specs_are_in_the_domain(self):
        self.check(driver.IsolationDriver)

    def test_once_each(self):
        """Where Nova writes them, the driver does not write them again."""
        ours = object.__new__(driver.IsolationDriver)
        meta = ours._get_guest_config_meta(
            ours.get_instance_driver_metadata(behaviour._instance(), [])
        )
        found = meta.format_dom().findall(
            f'.//{{{domain_metadata.NAMESPACE}}}extraSpecs'
        )
        self.assertEqual(1, len(found))
        self.assertEqual(len(behaviour._EXTRA_SPECS), len(found[0]))

    def test_refused_without_them(self):
        for other in (Forgetful, Renaming):
            error = self.assertRaises(
                exception.InvalidConfiguration, self.check, other
            )
            self.assertIn('found {}', str(error))
            self.assertIn("'isolation:svirt': 'selinux'", str(error))
            self.assertIn('supported are Nova 31 (2025.1)', str(error))
