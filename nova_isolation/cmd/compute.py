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

"""nova-isolation-compute: nova-compute, where Nova lies elsewhere.

Nova imports its compute driver from the package nova.virt. Where Nova is an
editable install (devstack) or lies in another folder than this package, the
module nova.virt.isolation is not found there; this command puts it in place
and then is nova-compute, with the same arguments.
"""

from collections.abc import Sequence
from importlib import abc
from importlib import machinery
from importlib import util
import sys
import types

#: What Nova imports for compute_driver = isolation.IsolationDriver.
_MODULE = 'nova.virt.isolation'


class _Shim(abc.MetaPathFinder, abc.Loader):
    """Finds the one module, and fills it when Nova imports it.

    Not earlier: the service must have read its configuration by then.
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
    """Be nova-compute."""
    # First: it decides about monkey patching before anything else of Nova
    # is imported.
    from nova.cmd import compute

    register()
    compute.main()
