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

"""Nova's own unit tests of its libvirt driver, with our driver in its place.

No flavor in them is tagged, so every one has to pass: untagged guests are
never touched. The tests keep their names of Nova.
"""

import typing
import unittest

# First: it decides about eventlet for all tests of Nova.
import nova.tests.unit  # noqa: F401
from nova.virt.libvirt import driver as libvirt_driver

from nova.virt import libvirt
from nova_isolation.virt import driver

_SUITE = 'nova.tests.unit.virt.libvirt.test_driver'


def _replace() -> None:
    """Put our driver where the tests look for Nova's."""
    for name, value in vars(libvirt_driver.LibvirtDriver).items():
        # Some tests put a mock in place of one of these and take it away
        # again; on a class that only inherits it, it would be gone then.
        if isinstance(value, (staticmethod, classmethod)):
            setattr(driver.IsolationDriver, name, value)
    libvirt_driver.LibvirtDriver = driver.IsolationDriver
    libvirt.LibvirtDriver = driver.IsolationDriver


_replace()


def load_tests(
    loader: unittest.TestLoader, tests: object, pattern: typing.Any
) -> unittest.TestSuite:
    """The tests of Nova instead of those of this module, which has none."""
    return loader.loadTestsFromName(_SUITE)
