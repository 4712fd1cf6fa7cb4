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

"""What the wheel has, beside modules."""

from importlib import metadata
import site

from tests.unit import base


class WheelTest(base.TestCase):
    """The installed wheel; tools/setup.sh and tox install it."""

    def test_type_information_is_shipped(self):
        # The checkout has metadata of its own, which names all its files.
        (wheel,) = metadata.distributions(
            name='nova-isolation', path=site.getsitepackages()
        )
        names = [str(file) for file in wheel.files]
        self.assertIn('nova_isolation/py.typed', names)
        self.assertIn('nova/virt/isolation/__init__.py', names)
        # For the tests of those who extend the product.
        for name in ('mechanism_contract', 'provider_contract', 'fakes'):
            self.assertIn(f'nova_isolation/testing/{name}.py', names)
        # They are not part of the product.
        self.assertEqual(
            [], [n for n in names if n.startswith(('tests/', 'lab/'))]
        )
