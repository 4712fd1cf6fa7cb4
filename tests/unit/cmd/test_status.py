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

"""nova-isolation-status: its exit status."""

import os
import pathlib
import subprocess
import sys
import tempfile
from unittest import mock

from oslo_upgradecheck import upgradecheck

from nova_isolation.cmd import status
from nova_isolation.report import audit
from nova_isolation.report import audit_kinds
from nova_isolation.virt import nova_release
from tests.unit import base


def finding(kind, name='a'):
    return audit.Finding(kind, 'host', name, name, f'detail of {name}')


class ChecksTest(base.TestCase):
    def check(self, *found):
        """The exit status, and the result of each check."""
        checks = status.Checks(lambda: found)
        with mock.patch('builtins.print'):
            code = checks.check()
        return code, {
            title: status._check(checks, kinds)
            for title, kinds in status.CHECKS.items()
        }

    def test_codes(self):
        for found, code in (
            ((), 0),
            ((finding(audit_kinds.HOST_AUDITS),), 1),
            ((finding(audit_kinds.FILTER_UNKNOWN),), 1),
            ((finding(audit_kinds.FILTER_DISABLED),), 2),
            (
                (
                    finding(audit_kinds.TRAITS_STALE),
                    finding(audit_kinds.TRAITS_UNKNOWN),
                ),
                2,
            ),
        ):
            self.assertEqual(code, self.check(*found)[0], found)

    def test_each_kind_is_in_one_check(self):
        kinds = [one for kinds in status.CHECKS.values() for one in kinds]
        self.assertEqual(
            sorted(audit_kinds.KINDS), sorted(one.code for one in kinds)
        )

    def test_details(self):
        kind = audit_kinds.HOST_AUDITS
        many = [finding(kind, f'host-{n}') for n in range(100)]
        result = self.check(*many)[1]['Mode of the hosts']
        self.assertIs(upgradecheck.Code.WARNING, result.code)
        self.assertIn('host-0: detail of host-0; ', result.details)
        self.assertIn('and 80 more. ' + kind.remedy, result.details)
        self.assertEqual(1, result.details.count(kind.remedy))

    def test_old_nova(self):
        with mock.patch.object(nova_release, 'version', return_value='29.0'):
            code, _ = self.check()
        self.assertEqual(upgradecheck.Code.FAILURE, code)


class ProgramTest(base.TestCase):
    def run_it(self, text, *arguments):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, 'nova.conf')
            file.write_text(text)
            return subprocess.run(
                [
                    sys.executable,
                    '-W',
                    'ignore',
                    '-c',
                    'import sys; from nova_isolation.cmd import status; '
                    'sys.exit(status.main())',
                    '--config-file',
                    str(file),
                    *arguments,
                ],
                capture_output=True,
                text=True,
                timeout=100,
                env={**os.environ, 'OS_NOVA_DISABLE_EVENTLET_PATCHING': '1'},
            )

    def test_databases_away(self):
        run = self.run_it(
            '[api_database]\nconnection = sqlite:////nonesuch/nova_api\n'
            'max_retries = 0\n'
            '[database]\nconnection = sqlite:////nonesuch/nova\n',
            'upgrade',
            'check',
        )
        self.assertEqual(255, run.returncode, run.stdout + run.stderr)
        self.assertIn('API database cannot be read', run.stdout)
