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

"""nova-rootwrap lets the helper of nova_isolation.host.privileged pass."""

import importlib
import sys

from oslo_privsep import priv_context
from oslo_rootwrap import wrapper

from nova_isolation.host import privileged
from tests.unit import base


class RootwrapTest(base.TestCase):
    """No filter of this project is needed."""

    def setUp(self):
        super().setUp()
        # Nova's own filters, as its wheel installs them.
        self.filters = wrapper.load_filters(
            [f'{sys.prefix}/etc/nova/rootwrap.d']
        )

    def admits(self, command):
        try:
            found = wrapper.match_filter(self.filters, command, ['/bin'])
        except wrapper.FilterMatchNotExecutable:
            # The filter fits, and privsep-helper is not in that folder.
            return True
        except wrapper.NoFilterMatched:
            return False
        return found is not None

    def test_the_helper(self):
        for files in ([], ['/etc/nova/nova.conf', '/etc/nova/compute.conf']):
            command = ['privsep-helper']
            for file in files:
                command += ['--config-file', file]
            command += ['--privsep_context', privileged.context.pypath]
            command += ['--privsep_sock_path', '/tmp/tmpx/privsep.sock']
            self.assertTrue(self.admits(command), command)

    def test_other_commands(self):
        for command in (['cat', '/etc/shadow'], ['sh', '-c', 'id']):
            self.assertFalse(self.admits(command), command)

    def test_the_helper_finds_the_context(self):
        module, _, name = privileged.context.pypath.rpartition('.')
        found = getattr(importlib.import_module(module), name)
        self.assertIs(privileged.context, found)
        self.assertIsInstance(found, priv_context.PrivContext)
