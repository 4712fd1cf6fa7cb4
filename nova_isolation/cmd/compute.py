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

"""nova-isolation-compute: nova-compute where Nova is in another folder.

Nova imports its compute driver from the package nova.virt. Where Nova is an
editable install (devstack), or is installed in another folder than this
package, Python does not find the module nova.virt.isolation there. This
program makes the module importable and then runs nova-compute with the same
arguments.
"""

from collections.abc import Sequence
from importlib import abc
from importlib import machinery
from importlib import util
import sys
import types

#: The module that Nova imports for compute_driver = isolation.IsolationDriver.
_MODULE = 'nova.virt.isolation'


class _Shim(abc.MetaPathFinder, abc.Loader):
    """Finds the module, and fills it when Nova imports it.

    It is not filled earlier, because the driver's modules need the
    configuration that the service has read by then.
    """

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: types.ModuleType | None = None,
    ) -> machinery.ModuleSpec | None:
        if fullname != _MODULE:
            return None
        return machinery.ModuleSpec(fullname, self)

    def exec_module(self, module: types.ModuleType) -> None:
        from nova_isolation.virt import driver

        module.__dict__['IsolationDriver'] = driver.IsolationDriver


def register() -> None:
    """Make the driver importable where Nova looks for it."""
    if util.find_spec(_MODULE) is None:
        sys.meta_path.append(_Shim())


def main() -> None:
    """Run nova-compute."""
    # This import comes first: the module decides about monkey patching before
    # any other module of Nova is imported.
    from nova.cmd import compute

    register()
    compute.main()
