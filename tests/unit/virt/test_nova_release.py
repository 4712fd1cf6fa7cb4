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
"""Older releases of Nova are refused by name, others that do not fit too."""

from importlib import metadata
from pathlib import Path
import subprocess
import sys
from unittest import mock

import fixtures
from nova import exception
from testtools import content

from nova_isolation.virt import nova_release
from tests.unit import base

#: Nova's command imports its driver. Nova 26 has no nova.virt.node, and its
#: libvirt driver has other imports.
_SCRIPT = """
import sys
sys.modules['nova.virt.node'] = None
sys.modules['nova.virt.libvirt.driver'] = None
from nova import exception
try:
    import nova.virt.isolation
except exception.InvalidConfiguration as error:
    print(error)
"""

#: As Nova loads it. {} breaks something first.
_LOAD = """
import sys
{}
import nova.conf
from nova import exception
from nova.virt import driver
try:
    driver.load_compute_driver(None, 'isolation.IsolationDriver')
except exception.InvalidConfiguration as error:
    print(error)
    print('Cause:', repr(error.__cause__))
"""

#: A name that is no driver of ours is not there, as in any module.
_OTHER = """
from nova.virt import isolation
try:
    isolation.OtherDriver
except AttributeError as error:
    print(error)
"""


class ReleaseTest(base.TestCase):
    def check(self, version):
        with mock.patch.object(metadata, 'version', return_value=version):
            nova_release.check()

    def test_the_one_that_is_here(self):
        nova_release.check()

    def test_supported_and_newer(self):
        for version in ('31.0.0', '31.3.1', '34.0.0', '34.1.0.dev7', '35.0.0'):
            self.check(version)

    def test_older_or_no_number(self):
        for version in ('26.2.2', '30.3.0', '9.0', 'v31', '', 'x'):
            error = self.assertRaises(
                exception.InvalidConfiguration, self.check, version
            )
            for part in (f'Nova {version}', '31 (2025.1)', '34 (2026.2)'):
                self.assertIn(part, str(error))
            self.assertIn('compute_driver = libvirt.LibvirtDriver', str(error))

    def test_nova_without_metadata(self):
        with mock.patch.object(
            metadata, 'version', side_effect=metadata.PackageNotFoundError
        ):
            error = self.assertRaises(
                exception.InvalidConfiguration, nova_release.check
            )
        self.assertIn('Nova has no package metadata', str(error))

    def run_with(self, version, script):
        """What a program prints where Nova's version is another one."""
        folder = Path(self.useFixture(fixtures.TempDir()).path)
        info = folder / f'nova-{version}.dist-info'
        info.mkdir()
        (info / 'METADATA').write_text(
            f'Metadata-Version: 2.1\nName: nova\nVersion: {version}\n'
        )
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', script],
            env={'PYTHONPATH': f'{folder}:.', 'PATH': '/usr/bin:/bin'},
            capture_output=True,
            text=True,
            timeout=120,
        )
        self.addDetail('stderr', content.text_content(done.stderr))
        return done.stdout

    def test_nova_26_is_refused_before_anything_of_it_is_missed(self):
        self.assertIn(
            'does not support Nova 26.2.2', self.run_with('26.2.2', _SCRIPT)
        )

    def test_a_newer_nova_without_a_module(self):
        text = self.run_with(
            '35.0.0',
            _LOAD.format("sys.modules['nova.virt.libvirt.guest'] = None"),
        )
        for part in (
            'does not fit this Nova',
            'Nova is 35.0.0; supported are Nova 31 (2025.1)',
            'Install the release of nova-isolation that was made for',
            'Missing: import of nova.virt.libvirt.guest halted',
            'Cause: ModuleNotFoundError',
        ):
            self.assertIn(part, text)

    def test_a_newer_nova_without_a_name(self):
        text = self.run_with(
            '35.0.0',
            _LOAD.format(
                'from nova.virt.libvirt import guest\ndel guest.Guest'
            ),
        )
        self.assertIn('Nova is 35.0.0; supported are', text)
        self.assertIn("has no attribute 'Guest'", text)
        self.assertIn('Cause: AttributeError', text)

    def test_a_library_is_missing(self):
        text = self.run_with(
            '34.0.0', _LOAD.format("sys.modules['elftools'] = None")
        )
        self.assertIn('because elftools is missing or broken', text)
        self.assertIn('nova-isolation-compute', text)
        self.assertIn('Cause: ModuleNotFoundError', text)
        self.assertNotIn('does not fit this Nova', text)

    def test_a_driver_that_is_not_ours(self):
        text = self.run_with('34.0.0', _OTHER)
        self.assertIn("no driver 'OtherDriver'", text)
