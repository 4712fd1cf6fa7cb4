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

"""The support table says what the code does, and forgets nothing."""

import importlib.util
import inspect
import pathlib
import types

from nova import exception
from nova.virt import driver as nova_driver
from nova.virt.libvirt import driver as libvirt_driver

from nova_isolation.virt.xen import refusals
from nova_isolation.virt.xen import traits
from nova_isolation.virt.xen import unsupported
from tests.unit import base
from tests.unit import named_tests

_DOC = pathlib.Path(__file__).parents[4] / 'doc'


def _support_table() -> types.ModuleType:
    """A module of doc/ext, which is not a package."""
    spec = importlib.util.spec_from_file_location(
        'support_table', _DOC / 'ext/support_table.py'
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class SupportTableTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.module = _support_table()
        self.table = self.module.read(_DOC / 'source/admin/xen-support.ini')

    def rows(self, *answers):
        """The rows with one of these answers for some kind of guest."""
        return [
            row
            for row in self.table.rows
            if set(row.cells.values()) & {*answers}
        ]

    def names(self, what, rows=None):
        """What belongs to some rows; by default to all, or to none."""
        found = [
            name
            for row in (self.table.rows if rows is None else rows)
            for name in row.names[what]
        ]
        if rows is None:
            found += self.table.beside[what]
        self.assertEqual(len(found), len(set(found)), sorted(found))
        return set(found)

    def test_each_test_exists(self):
        named = {
            name
            for row in self.table.rows
            for names in row.tests.values()
            for name in names
        }
        self.assertGreater(len(named), 60)
        self.assertEqual(set(), named_tests.missing(named))
        self.assertEqual(
            {'functional.xen.test_roads.PvTest.test_no'},
            named_tests.missing(['functional.xen.test_roads.PvTest.test_no']),
        )

    def test_no_method_is_forgotten(self):
        novas = {
            name
            for name, member in vars(libvirt_driver.LibvirtDriver).items()
            if inspect.isfunction(member)
            and not name.startswith('_')
            and hasattr(nova_driver.ComputeDriver, name)
        }
        self.assertGreater(len(novas), 70)
        self.assertEqual(set(), novas - self.names('methods'))

    def test_no_capability_is_forgotten(self):
        novas = {
            name.removeprefix('supports_')
            for name in libvirt_driver.LibvirtDriver.capabilities
        }
        known = self.names('capabilities')
        self.assertEqual(set(), novas - known)

    def test_what_is_not_offered(self):
        away = self.rows(self.module.REFUSED, self.module.NOT_OFFERED)
        self.assertEqual(
            {name.removeprefix('supports_') for name in traits.NOT_CAPABLE},
            {
                name
                for name in self.names('capabilities', away)
                # HVM guests boot it.
                if name != 'image_type_iso'
            },
        )
        self.assertEqual(set(traits.NOT_OFFERED), self.names('traits'))

    def test_what_is_refused(self):
        refused = self.rows(self.module.REFUSED)
        self.assertEqual(
            set(unsupported.PROPERTIES), self.names('properties', refused)
        )
        self.assertEqual(
            set(unsupported.EXTRA_SPECS), self.names('extra_specs', refused)
        )
        for what in ('properties', 'extra_specs'):
            self.assertEqual(self.names(what, refused), self.names(what), what)

    def test_what_the_driver_refuses_by_itself(self):
        ours = {
            name
            for name, member in vars(refusals.RefusingDriver).items()
            if inspect.isfunction(member)
        }
        self.assertEqual(
            set(),
            ours - self.names('methods', self.rows(self.module.REFUSED)),
        )
        driver = refusals.RefusingDriver.__new__(refusals.RefusingDriver)
        for row in self.table.rows:
            for name in ours & set(row.names['methods']):
                method = getattr(driver, name)
                arguments = [None] * len(inspect.signature(method).parameters)
                error = self.assertRaises(
                    exception.NovaException, method, *arguments
                )
                self.assertIn(row.note, str(error))

    def test_file_that_says_nothing_sensible(self):
        for text in (
            '[a]\nall = perhaps\ntests = t\n',
            '[a]\nall = supported\n',
            '[a]\npv = supported\ntests = t\n',
            '[a]\nall = supported\ntests = t\nmethod = spawn\n',
        ):
            path = pathlib.Path(self.make_file(text))
            self.assertRaises(ValueError, self.module.read, path)

    def make_file(self, text):
        """A file with a text, and what belongs to no row."""
        return self.create_tempfiles(
            [('table', text + '[every driver]\nmethods =\n')], '.ini'
        )[0]
