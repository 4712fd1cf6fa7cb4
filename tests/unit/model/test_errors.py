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

"""Tests of nova_isolation.model.errors."""

import ast
import builtins
import pathlib

import nova_isolation
from nova_isolation.attestation import provider
from nova_isolation.attestation import snapshot
from nova_isolation.attestd import listener
from nova_isolation.cmd import error
from nova_isolation.hook import script
from nova_isolation.hook import selinux_label
from nova_isolation.https import https_error
from nova_isolation.model import errors
from nova_isolation.model import facts
from nova_isolation.virt import exception
from tests.unit import base


class ErrorsTest(base.TestCase):
    """One root for all exceptions of ours."""

    def test_known(self):
        for cls in (
            error.CommandError,
            exception.GuestRefused,
            exception.RefusedOnAHost,
            exception.GuestViolated,
            facts.FactsError,
            https_error.HttpsError,
            listener.ListenerError,
            provider.ProviderError,
            script.HookError,
            selinux_label.LabelError,
            snapshot.SnapshotError,
        ):
            self.assertTrue(issubclass(cls, errors.IsolationError), cls)

    def test_no_other_root(self):
        """No class derives from an exception of Python alone."""
        roots = set()
        (folder,) = nova_isolation.__path__
        for path in pathlib.Path(folder).rglob('*.py'):
            for node in ast.walk(ast.parse(path.read_text())):
                if not isinstance(node, ast.ClassDef):
                    continue
                bases = {ast.unparse(one) for one in node.bases}
                if 'errors.IsolationError' not in bases and any(
                    isinstance(found, type)
                    and issubclass(found, BaseException)
                    for found in (
                        getattr(builtins, one, None) for one in bases
                    )
                ):
                    roots.add(node.name)
        self.assertEqual({'IsolationError'}, roots)
