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

import libvirt

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
        # For the tests of those who extend the product.
        for name in ('mechanism_contract', 'provider_contract', 'fakes'):
            self.assertIn(f'nova_isolation/testing/{name}.py', names)
        # They are not part of the product.
        self.assertEqual(
            [], [n for n in names if n.startswith(('tests/', 'lab/'))]
        )


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
