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

"""The rootwrap filter admits the helper of nova_isolation.host.privileged."""

import configparser
import pathlib
import re

from nova_isolation.host import privileged
from tests.unit import base

FILTERS = (
    pathlib.Path(__file__).parents[3]
    / 'etc/nova-isolation/rootwrap.d/nova-isolation.filters'
)


class PrivilegedFiltersTest(base.TestCase):
    """oslo.rootwrap's RegExpFilter: each argument matches its expression."""

    def admits(self, context):
        parser = configparser.RawConfigParser()
        parser.read(FILTERS)
        for text in dict(parser.items('Filters')).values():
            kind, executable, user, *expressions = (
                part.strip() for part in text.split(',')
            )
            self.assertEqual(
                ('RegExpFilter', 'privsep-helper', 'root'),
                (kind, executable, user),
            )
            command = [
                'privsep-helper', '--config-file', '/etc/nova/nova.conf',
                '--privsep_context', context,
                '--privsep_sock_path', '/tmp/tmpx/privsep.sock',
            ]  # fmt: skip
            if len(command) == len(expressions) and all(
                re.fullmatch(expression, word)
                for expression, word in zip(expressions, command, strict=True)
            ):
                return True
        return False

    def test_the_context_of_this_release(self):
        path = f'{privileged.__name__}.context'
        self.assertEqual(path, privileged.context.pypath)
        self.assertTrue(self.admits(path))

    def test_no_other_context(self):
        for path in (
            'nova_isolation.virt.privileged.context',
            'nova_isolationxhost.privileged.context',
            'nova.privsep.sys_admin_pctxt',
        ):
            self.assertFalse(self.admits(path), path)
