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
from pathlib import Path
import re
import site
import types

import libvirt
from packaging import requirements

from tests.unit import base

_CHECKOUT = Path(__file__).resolve().parent.parent.parent
_LISTS = (
    'constraints.txt',
    'requirements.txt',
    'test-requirements.txt',
    'lab/requirements.txt',
    'doc/requirements.txt',
    'tests/tempest/constraints.txt',
)


class WheelTest(base.TestCase):
    """The installed wheel; tools/setup.sh and tox install it."""

    def test_type_information_is_shipped(self):
        # The checkout has metadata of its own, which names all its files.
        (wheel,) = metadata.distributions(
            name='nova-isolation', path=site.getsitepackages()
        )
        names = [str(file) for file in wheel.files]
        self.assertIn('nova_isolation/py.typed', names)
        self.assertIn('nova-isolation.pth', names)
        self.assertIn('nova_isolation_finder.py', names)
        # pip install --target --upgrade deletes folders that a wheel has.
        self.assertEqual([], [n for n in names if n.startswith('nova/')])
        self.assertIn('nova_isolation/page/templates/report.html', names)
        self.assertIn('nova_isolation/page/static/page.css', names)
        self.assertIn('nova_isolation/evidence/statement.schema.json', names)
        # For the tests of those who extend the product.
        for name in ('mechanism_contract', 'provider_contract', 'fakes'):
            self.assertIn(f'nova_isolation/testing/{name}.py', names)
        # They are not part of the product.
        self.assertEqual(
            [], [n for n in names if n.startswith(('tests/', 'lab/'))]
        )


class RequirementsTest(base.TestCase):
    """What pip installs with the wheel, as its metadata has it."""

    #: The lowest versions among those that go with Nova 31 to 33: those of
    #: upper-constraints.txt of stable/2025.1, and of Debian 13.
    OLDEST = types.MappingProxyType(
        {
            'anyio': '4.8.0',
            'cryptography': '43.0.3',
            'Jinja2': '3.1.5',
            'keystoneauth1': '5.10.0',
            'keystonemiddleware': '10.9.1',
            'lxml': '5.3.1',
            'oslo.concurrency': '7.1.0',
            'oslo.config': '9.7.1',
            'oslo.context': '5.7.1',
            'oslo.log': '7.1.0',
            'oslo.policy': '4.5.1',
            'oslo.privsep': '3.6.0',
            'oslo.utils': '8.2.0',
            'prometheus-client': '0.21.1',
            'pyelftools': '0.32',
            'requests': '2.32.3',
            'securesystemslib': '1.2.0',
            'SQLAlchemy': '2.0.38',
            'starlette': '0.46.1',
            'stevedore': '5.4.1',
            'uvicorn': '0.32.0',
        }
    )

    def setUp(self):
        super().setUp()
        (self.wheel,) = metadata.distributions(
            name='nova-isolation', path=site.getsitepackages()
        )
        self.required = [
            requirements.Requirement(line) for line in self.wheel.requires
        ]

    def names(self, extra):
        """What is installed with an extra; without one, with ''."""
        return {
            item.name
            for item in self.required
            if item.marker is None or item.marker.evaluate({'extra': extra})
        }

    def test_a_controller_compiles_nothing_and_nova_is_not_replaced(self):
        names = self.names('')
        self.assertIn('stevedore', names)
        self.assertFalse(
            {'keystonemiddleware', 'libvirt-python', 'nova', 'uvicorn'} & names
        )

    def test_a_compute_host(self):
        more = self.names('compute') - self.names('')
        self.assertEqual({'libvirt-python', 'oslo.concurrency'}, more)

    def test_nothing_is_upgraded_beside_the_oldest_nova(self):
        names = {
            name
            for extra in ('', 'api', 'attestd', 'compute', 'evidence')
            for name in self.names(extra)
            if name != 'libvirt-python'
        }
        bounds = {}
        for item in self.required:
            if item.name in names and '"test"' not in str(item.marker):
                bounds[item.name] = item.specifier
        self.assertEqual(set(self.OLDEST), set(bounds))
        for name, specifier in bounds.items():
            self.assertTrue(specifier.contains(self.OLDEST[name]), name)
            # There is a lower bound.
            self.assertFalse(specifier.contains('0.0.1'), name)


class LibvirtPythonTest(base.TestCase):
    """The binding follows the libvirt of the machine: no file pins it."""

    def test_it_is_not_older_than_libvirt(self):
        major, rest = divmod(libvirt.getVersion(), 1_000_000)
        version = metadata.version('libvirt-python').split('.')
        self.assertGreaterEqual(
            tuple(int(part) for part in version),
            (major, *divmod(rest, 1000)),
        )

    def test_no_file_pins_it(self):
        for name in _LISTS:
            self.assertNotRegex(
                (_CHECKOUT / name).read_text('utf-8'),
                re.compile('^libvirt.python *[=~<]', re.I | re.M),
                name,
            )
