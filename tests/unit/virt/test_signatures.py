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

"""What our classes override is compared with Nova's classes."""

import functools
import inspect
from unittest import mock

from nova import exception
from nova.virt.libvirt import driver as libvirt_driver
from nova.virt.libvirt import guest as libvirt_guest
from nova.virt.libvirt import host as libvirt_host

from nova_isolation.virt import driver
from nova_isolation.virt import nova_release
from nova_isolation.virt import signatures
from nova_isolation.virt.roads import choke_points
from tests.unit import base

CLASSES = {
    driver.IsolationDriver: libvirt_driver.LibvirtDriver,
    choke_points.GuardedGuest: libvirt_guest.Guest,
    choke_points.GuardedHost: libvirt_host.Host,
}


class Parent:
    """Stands for a class of Nova."""

    def __init__(self, host):
        self.host = host

    def plain(self, guest, flags=0):
        """Overridden with the same parameters."""

    def other(self, guest, flags=0):
        """Not overridden."""

    @property
    def label(self):
        """A property."""

    @classmethod
    def make(cls, host):
        """A class method."""


class Mixin(Parent):
    """Ours, not named by anybody."""

    @signatures.override
    def plain(self, guest, flags=0):
        """As Nova's."""


class Ours(Mixin):
    """Ours."""

    value = None

    @signatures.override
    def __init__(self, host):
        super().__init__(host)

    @property
    @signatures.override
    def label(self):
        """As Nova's."""

    @classmethod
    @signatures.override
    def make(cls, host):
        """As Nova's."""

    @functools.cached_property
    def own(self):
        """Not Nova's."""

    def _own_too(self):
        """Not Nova's."""


class DifferencesTest(base.TestCase):
    def differences(self):
        return list(signatures.differences(Ours, Parent))

    def assertReported(self, *texts):
        found = self.differences()
        self.assertEqual(len(texts), len(found), found)
        for text, one in zip(texts, found, strict=True):
            self.assertIn(text, one)

    def test_same(self):
        self.assertReported()
        self.assertEqual(
            {'__init__', 'plain', 'label', 'make'},
            signatures.overridden(Ours, Parent),
        )

    def test_parent_renamed_a_method(self):
        renamed = Parent.plain
        with mock.patch.object(Parent, 'renamed', renamed, create=True):
            del Parent.plain
            self.addCleanup(setattr, Parent, 'plain', renamed)
            self.assertReported('Parent.plain does not exist, but')

    def test_parent_changed_parameters(self):
        for changed, found in (
            (lambda self, guest: None, '(self, guest)'),
            (lambda self, guest, flags: None, '(self, guest, flags)'),
            (lambda self, guest, flags=1: None, '(self, guest, flags=1)'),
            (lambda self, guest, *, flags=0: 0, '(self, guest, *, flags=0)'),
            (
                lambda self, guest, flags=0, new=None: None,
                '(self, guest, flags=0, new=None)',
            ),
            (lambda self, flags=0, guest=1: 0, '(self, flags=0, guest=1)'),
            (property(lambda self: None), 'property (self)'),
            (None, 'does not exist'),
        ):
            with mock.patch.object(Parent, 'plain', changed):
                self.assertReported(found)

    def test_annotations_do_not_count(self):
        def plain(self, guest: str, flags: int = 0) -> int:
            return 0

        with mock.patch.object(Parent, 'plain', plain):
            self.assertReported()

    def test_parent_changed_a_property_and_a_class_method(self):
        with (
            mock.patch.object(Parent, 'label', lambda self: None),
            mock.patch.object(Parent, 'make', lambda self, host: None),
        ):
            self.assertReported('Parent.label: wanted', 'Parent.make: wanted')

    def test_override_that_is_not_marked(self):
        for name in ('own', '_own_too', 'value'):
            with mock.patch.object(
                Parent, name, lambda self: None, create=True
            ):
                self.assertReported(f'Parent.{name} exists, and ')

    def test_method_that_lost_its_mark(self):
        def plain(self, guest, flags=0):
            """As Nova's, and not marked."""

        with mock.patch.object(Mixin, 'plain', plain):
            self.assertReported('Parent.plain exists, and ')

    def test_marked_method_that_overrides_nothing(self):
        @signatures.override
        def mistyped(self):
            """Meant as an override."""

        with mock.patch.object(Mixin, 'mistyped', mistyped, create=True):
            self.assertReported('Parent.mistyped does not exist, but')


class CheckTest(base.TestCase):
    def test_all_that_changed_is_named(self):
        with (
            mock.patch.object(libvirt_guest.Guest, 'launch', lambda self: 0),
            mock.patch.object(libvirt_guest.Guest, 'pause', lambda s, t: 0),
            mock.patch.object(libvirt_host.Host, 'get_guest', lambda s: 0),
            mock.patch.object(
                libvirt_driver.LibvirtDriver, 'spawn', lambda self: 0
            ),
        ):
            error = self.assertRaises(
                exception.InvalidConfiguration, signatures.check, CLASSES
            )
        for name in (
            'Guest.launch: wanted (self, pause=False), found (self)',
            'Guest.pause: wanted (self), found (s t)',
            'Host.get_guest: wanted (self, instance), found (s)',
            'LibvirtDriver.spawn: wanted (self, context, instance, ',
            f'Nova is {nova_release.version()}',
        ):
            self.assertIn(name, str(error))

    def test_every_method_of_nova_that_is_overridden_is_compared(self):
        """By names alone, without the marks."""
        for ours, parent in CLASSES.items():
            mro = ours.__mro__
            names = {
                name
                for owner in mro[: mro.index(parent)]
                for name, member in vars(owner).items()
                if inspect.isfunction(member) and name in dir(parent)
            }
            self.assertEqual(names, signatures.overridden(ours, parent))

    def test_the_method_that_keeps_a_refused_guest_from_running(self):
        name = '_create_guest_with_network'
        nova = libvirt_driver.LibvirtDriver
        self.assertIn(
            name, signatures.overridden(driver.IsolationDriver, nova)
        )
        method = getattr(nova, name)
        self.addCleanup(setattr, nova, name, method)
        delattr(nova, name)
        error = self.assertRaises(
            exception.InvalidConfiguration, signatures.check, CLASSES
        )
        self.assertIn(f'LibvirtDriver.{name} does not exist', str(error))

    def test_overrides_are_written_out(self):
        """An override with ``*args`` would hide a change."""
        for ours, parent in CLASSES.items():
            for name in signatures.overridden(ours, parent):
                kinds = {
                    one.kind
                    for one in inspect.signature(
                        getattr(ours, name)
                    ).parameters.values()
                }
                self.assertNotIn(inspect.Parameter.VAR_POSITIONAL, kinds)
                self.assertNotIn(inspect.Parameter.VAR_KEYWORD, kinds)

    def test_the_table_has_nothing_that_is_overridden(self):
        for ours, parent in CLASSES.items():
            for owner, name in signatures.CALLED:
                if owner is parent:
                    self.assertNotIn(
                        name,
                        signatures.overridden(ours, parent) - {'__init__'},
                    )
