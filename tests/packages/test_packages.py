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

"""The packages of Debian, built by dpkg-buildpackage; the unit."""

import os
from pathlib import Path
import re
import shutil
import tempfile

from tests.packages import building
from tests.unit import base

_UNITS = building.CHECKOUT / 'contrib/systemd'
_SERVICE = _UNITS / 'nova-isolation-attestd.service'


class DebianTest(base.TestCase):
    """The packages are built once.

    :cvar folder: where they are
    """

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        source = cls.folder / 'source'
        building.copy_source(source)
        command = ('dpkg-buildpackage', '-us', '-uc', '-b')
        status, text = building.run(*command, cwd=source)
        if status:
            raise AssertionError(text)
        cls.contents = {}
        for package in cls.folder.glob('*.deb'):
            name = package.name.partition('_')[0]
            target = cls.folder / name
            building.run('dpkg-deb', '--raw-extract', package, target)
            cls.contents[name] = {
                str(path.relative_to(target))
                for path in target.rglob('*')
                if path.is_file()
            }

    def test_lintian_has_nothing_to_say(self):
        (changes,) = self.folder.glob('*.changes')
        status, text = building.run(
            *('lintian', '--allow-root', '--fail-on', 'error,warning'), changes
        )
        self.assertEqual((0, ''), (status, text))

    def test_what_is_in_them(self):
        self.assertEqual(
            {
                'nova-isolation-api',
                'nova-isolation-attestd',
                'nova-isolation-client',
                'nova-isolation-compute',
                'python3-nova-isolation',
            },
            set(self.contents),
        )
        library = self.contents['python3-nova-isolation']
        site = 'usr/lib/python3/dist-packages'
        for name in (
            'nova-isolation.pth',
            'nova_isolation_finder.py',
            'nova_isolation/virt/driver.py',
        ):
            self.assertIn(f'{site}/{name}', library)
        data = {
            name.removeprefix(f'{site}/')
            for name in library
            if name.startswith(f'{site}/nova_isolation/')
            and not name.endswith('.py')
        }
        self.assertIn('nova_isolation/py.typed', data)
        self.assertEqual(building.data_files(), data)
        self.assertIn(
            'usr/share/nova-isolation/metadefs/compute-isolation.json',
            library,
        )
        attestd = self.contents['nova-isolation-attestd']
        self.assertIn('etc/nova-isolation/attestd.conf', attestd)
        self.assertIn(
            'usr/lib/sysusers.d/nova-isolation-attestd.conf', attestd
        )
        self.assertTrue(
            any(
                p.endswith('system/nova-isolation-attestd.service')
                for p in attestd
            )
        )
        compute = self.contents['nova-isolation-compute']
        self.assertIn(
            'usr/share/nova-isolation/selinux/nova_isolation.cil', compute
        )
        # Not where pip puts its data, not in Nova, not our tests.
        for names in self.contents.values():
            for name in names:
                self.assertFalse(
                    name.startswith(
                        ('usr/etc', f'{site}/nova/', f'{site}/tests')
                    ),
                    name,
                )

    def test_each_command_has_a_manual_page(self):
        found = set()
        for names in self.contents.values():
            for name in names:
                folder, _, command = name.rpartition('/')
                if folder == 'usr/bin':
                    found.add(command)
                    self.assertIn(f'usr/share/man/man8/{command}.8.gz', names)
        self.assertEqual(building.commands(), found)
        self.assertIn(
            'usr/share/man/man1/openstack-isolation.1.gz',
            self.contents['nova-isolation-client'],
        )

    def test_the_library_needs_no_libvirt(self):
        control = (
            self.folder / 'python3-nova-isolation/DEBIAN/control'
        ).read_text()
        (depends,) = (
            line for line in control.splitlines() if 'Depends: ' in line
        )
        self.assertIn('python3-stevedore', depends)
        self.assertNotIn('python3-libvirt', depends)
        self.assertNotIn('python3-nova', depends)

    def invoked(self, package, script, *arguments):
        """Run a script of a package as dpkg does, on a host with systemd.

        :returns: what the script has systemd do with units
        """
        commands = Path(tempfile.mkdtemp(dir=self.folder))
        called = commands / 'called'
        called.touch()
        # No unit was enabled before.
        for name, text in (
            ('deb-systemd-invoke', f'echo "$@" >>{called}'),
            ('deb-systemd-helper', 'test "$2" != was-enabled'),
            ('systemctl', 'true'),
            ('systemd-sysusers', 'true'),
            ('systemd-tmpfiles', 'true'),
            ('py3clean', 'true'),
            ('py3compile', 'true'),
            ('dpkg', 'true'),
        ):
            (commands / name).write_text(f'#!/bin/sh\n{text}\n')
            (commands / name).chmod(0o755)
        text = (self.folder / package / 'DEBIAN' / script).read_text()
        status, said = building.run(
            *('sh', '-c', text.replace('/run/systemd/system', str(commands))),
            *(script, *arguments),
            path=f'{commands}:{building.PATH}',
        )
        self.assertEqual(0, status, said)
        return called.read_text().splitlines()

    def test_nothing_starts_by_itself(self):
        for script in self.folder.glob('*/DEBIAN/postinst'):
            text = script.read_text()
            # What debhelper writes where a new installation is enabled.
            self.assertNotIn('was-enabled defaults to true', text)
            self.assertNotIn('nova-isolation-hook', text)
            package = script.parts[-3]
            self.assertEqual(
                [], self.invoked(package, 'postinst', 'configure')
            )

    def test_an_upgrade_restarts_what_runs(self):
        for daemon in ('nova-isolation-api', 'nova-isolation-attestd'):
            self.assertEqual([], self.invoked(daemon, 'prerm', 'upgrade', '2'))
            self.assertEqual(
                [f'try-restart {daemon}.service'],
                self.invoked(daemon, 'postinst', 'configure', '1'),
            )

    def test_a_removal_stops_the_daemon(self):
        for daemon in ('nova-isolation-api', 'nova-isolation-attestd'):
            self.assertEqual(
                [f'stop {daemon}.service'],
                self.invoked(daemon, 'prerm', 'remove'),
            )

    def test_only_the_daemon_reads_its_configuration(self):
        for daemon, group in (
            ('attestd', 'nova-isolation'),
            ('api', 'nova-isolation-api'),
        ):
            package = f'nova-isolation-{daemon}'
            root = self.folder / package
            # What the installation runs, in the folder with the package.
            script = (root / 'DEBIAN/postinst').read_text()
            for command in (
                f'systemd-sysusers %s {package}.conf',
                f'systemd-tmpfiles %s --create {package}.conf',
            ):
                self.assertIn(
                    command % '${DPKG_ROOT:+--root="$DPKG_ROOT"}', script
                )
                status, said = building.run(
                    *(command % f'--root={root}').split()
                )
                self.assertEqual(0, status, said)
            groups = (root / 'etc/group').read_text()
            (number,) = re.findall(f'^{group}:x:([0-9]+):', groups, re.M)
            for path, mode in (
                (f'etc/{group}', 0o040750),
                (f'etc/{group}/{daemon}.conf', 0o100640),
            ):
                status = (root / path).stat()
                self.assertEqual(
                    (mode, 0, int(number)),
                    (status.st_mode, status.st_uid, status.st_gid),
                    path,
                )

    def prerm(self, action, status):
        """Run the script with a hook command that ends with a status.

        :returns: the script's status, and how the command was called
        """
        commands = Path(tempfile.mkdtemp(dir=self.folder))
        called = commands / 'called'
        called.touch()
        command = commands / 'nova-isolation-hook'
        command.write_text(f'#!/bin/sh\necho "$@" >>{called}\nexit {status}\n')
        # What debhelper adds: the byte code is removed.
        for name in ('py3clean', 'dpkg'):
            (commands / name).write_text('#!/bin/sh\n')
        for file in commands.iterdir():
            os.chmod(file, 0o755)
        script = self.folder / 'nova-isolation-compute/DEBIAN/prerm'
        ended, _text = building.run(
            'sh', script, action, path=f'{commands}:{building.PATH}'
        )
        return ended, called.read_text()

    def test_the_hook_goes_before_the_package(self):
        self.assertEqual((0, 'remove\n'), self.prerm('remove', 0))

    def test_a_hook_that_stays_keeps_the_package(self):
        ended, called = self.prerm('remove', 2)
        self.assertEqual((2, 'remove\n'), (ended, called))

    def test_an_upgrade_leaves_the_hook(self):
        self.assertEqual((0, ''), self.prerm('upgrade', 2))


class UnitTest(base.TestCase):
    def test_confined(self):
        command = ('systemd-analyze', 'security', '--offline=true')
        units = sorted(_UNITS.glob('*.service'))
        self.assertIn(_SERVICE, units)
        for unit in units:
            with self.subTest(unit.name):
                status, text = building.run(*command, '--threshold=20', unit)
                self.assertEqual(0, status, text)

    def test_the_same_unit_unconfined_is_found(self):
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        lines = _SERVICE.read_text().splitlines()
        kept = [
            line
            for line in lines
            if not line.startswith(('Restrict', 'Protect', 'SystemCall'))
        ]
        unit = folder / _SERVICE.name
        unit.write_text('\n'.join(kept))
        command = ('systemd-analyze', 'security', '--offline=true')
        status, _text = building.run(*command, '--threshold=20', unit)
        self.assertEqual(1, status)
