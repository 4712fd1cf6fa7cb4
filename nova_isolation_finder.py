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

"""Lets Nova find the compute driver, wherever Nova is installed.

Nova imports its driver from the package ``nova.virt``: for ``compute_driver =
isolation.IsolationDriver`` it imports ``nova.virt.isolation``. No file of ours
can lie there: Nova may be in another folder (a distribution's, or an editable
install), and a wheel that owned a part of ``nova/`` would make ``pip install
--target --upgrade`` delete the rest. So the module is made when it is asked
for. ``nova-isolation.pth``, which lies beside this file, registers the finder
in each interpreter at start.

Therefore this module is imported by every Python program of the host. It
imports nothing but ``sys``, and does nothing for any other name. It is not in
the package nova_isolation, because a package that is imported at start comes
before those of PYTHONPATH and of the current folder.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    import types

#: The module that Nova imports for compute_driver = isolation.IsolationDriver.
MODULE = 'nova.virt.isolation'

#: A driver of that module -> the module that it comes from. Only the one that
#: Nova asks for is imported.
DRIVERS = {
    'IsolationDriver': 'nova_isolation.virt.driver',
    'IsolationXenDriver': 'nova_isolation.virt.xen.driver',
}


def _driver(name: str) -> type:
    """A driver, now that Nova has read its configuration.

    :raises AttributeError: there is no driver of this name
    :raises nova.exception.InvalidConfiguration: Nova or a library lacks what
        the driver imports
    """
    import importlib

    from nova_isolation.virt import nova_release

    if name not in DRIVERS:
        raise AttributeError(f'module {MODULE!r} has no driver {name!r}')
    try:
        driver: type = getattr(importlib.import_module(DRIVERS[name]), name)
    except (AttributeError, ImportError) as error:
        # Nova would say that there is no such driver.
        raise nova_release.cannot_import(error) from error
    return driver


class DriverFinder:
    """Finds the module of the driver, and fills it when Nova imports it."""

    @staticmethod
    def find_spec(
        fullname: str,
        path: 'Sequence[str] | None' = None,
        target: 'types.ModuleType | None' = None,
    ) -> 'ModuleSpec | None':
        """The module, if it is asked for; see importlib.abc."""
        if fullname != MODULE:
            return None
        from importlib import machinery

        return machinery.ModuleSpec(
            fullname,
            DriverFinder,  # type: ignore[arg-type]
            origin=__file__,
        )

    @staticmethod
    def create_module(spec: 'ModuleSpec') -> 'types.ModuleType | None':
        """None: Python makes the module as usual."""
        return None

    @staticmethod
    def exec_module(module: 'types.ModuleType') -> None:
        """Have the module import a driver when it is asked for it."""
        # A Nova that is too old is refused here.
        import nova_isolation.virt  # noqa: F401

        module.__dict__['__getattr__'] = _driver


def register() -> None:
    """Make the driver importable, after what lies in Nova's own folder."""
    if DriverFinder not in sys.meta_path:
        sys.meta_path.append(DriverFinder)
