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

"""The packages of RPM, built by rpmbuild, and their spec."""

from pathlib import Path
import tempfile

from tests.packages import building
from tests.unit import base

_SPEC = building.CHECKOUT / 'contrib/rpm/nova-isolation.spec'
_MACROS = Path(__file__).parent / 'fedora.macros'


class RpmTest(base.TestCase):
    """The packages are built once, with macros that stand in for Fedora's.

    rpmbuild itself fails where a file is installed that no package has.

    :cvar packages: the name of a package -> its file
    """

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        (cls.folder / 'SOURCES').mkdir()
        name = 'nova_isolation-' + building.version()
        building.copy_source(cls.folder / name)
        archive = cls.folder / 'SOURCES' / f'{name}.tar.gz'
        building.run('tar', 'czf', archive, name, cwd=cls.folder)
        status, text = building.run(
            'rpmbuild', '-bb', '--nodeps', '--load', _MACROS,
            '--define', f'_topdir {cls.folder}',
            '--define', f'_tmppath {cls.folder}', _SPEC,
        )  # fmt: skip
        if status:
            raise AssertionError(text)
        cls.packages = {
            path.name.rsplit('-', 2)[0]: path
            for path in cls.folder.glob('RPMS/noarch/*.rpm')
        }

    def query(self, package, *what):
        """What rpm says about a package, by lines."""
        status, text = building.run(
            'rpm', '-qp', *what, self.packages[package]
        )
        self.assertEqual(0, status, text)
        return text.splitlines()

    def files(self, package):
        """Path -> mode, owner and flags (c: configuration) of each file."""
        form = (
            '[%{FILENAMES} %{FILEMODES:perms} %{FILEUSERNAME}:'
            '%{FILEGROUPNAME} %{FILEFLAGS:fflags}\n]'
        )
        lines = self.query(package, '--queryformat', form)
        return dict(line.split(' ', 1) for line in lines)

    def test_what_is_in_them(self):
        self.assertEqual(
            {
                'nova-isolation-api',
                'nova-isolation-attestd',
                'nova-isolation-client',
                'nova-isolation-compute',
                'python3-nova-isolation',
            },
            set(self.packages),
        )
        for name, wanted in (
            (
                'python3-nova-isolation',
                {'nova-isolation.pth', 'nova_isolation_finder.py',
                 'driver.py', 'compute-isolation.json',
                 'nova-isolation.conf.sample'},
            ),
            ('nova-isolation-compute', {'nova_isolation.cil'}),
            ('nova-isolation-attestd', {'nova-isolation-attestd.service'}),
        ):  # fmt: skip
            found = self.files(name)
            self.assertEqual(set(), wanted - {Path(p).name for p in found})
            for path in found:
                # Not where pip puts its data, not in Nova, not our tests.
                self.assertNotRegex(
                    path, '^/usr/etc|site-packages/(nova|tests|lab)(/|$)'
                )

    def test_all_data_of_the_package_is_in_it(self):
        found = {
            'nova_isolation/' + path.partition('/nova_isolation/')[2]
            for path, of in self.files('python3-nova-isolation').items()
            if '/site-packages/nova_isolation/' in path
            and not path.endswith(('.py', '.pyc'))
            and not of.startswith('d')
        }
        self.assertEqual(building.data_files(), found)

    def test_only_the_daemon_reads_its_configuration(self):
        for daemon, group in (
            ('attestd', 'nova-isolation'),
            ('api', 'nova-isolation-api'),
        ):
            found = self.files(f'nova-isolation-{daemon}')
            self.assertEqual(
                {
                    f'/etc/{group}': f'drwxr-x--- root:{group} ',
                    # An upgrade leaves what the admin has changed.
                    f'/etc/{group}/{daemon}.conf': (
                        f'-rw-r----- root:{group} cn'
                    ),
                },
                {path: of for path, of in found.items() if '/etc/' in path},
            )

    def test_each_command_has_a_manual_page(self):
        found = [path for name in self.packages for path in self.files(name)]
        pages = {
            Path(path).name.partition('.')[0]
            for path in found
            if path.startswith('/usr/share/man/man8/')
        }
        commands = {
            Path(path).name for path in found if path.startswith('/usr/bin/')
        }
        self.assertIn('nova-isolation-hook', commands)
        self.assertEqual(commands, pages)
        (page,) = self.files('nova-isolation-client')
        self.assertRegex(page, '^/usr/share/man/man1/openstack-isolation.1')

    def test_what_they_require(self):
        compute = self.query('nova-isolation-compute', '--requires')
        self.assertIn('python3-libvirt', compute)
        library = self.query('python3-nova-isolation', '--requires')
        self.assertNotIn('libvirt', ' '.join(library))

    def test_a_hook_that_stays_keeps_the_package(self):
        text = self.query('nova-isolation-compute', '--scripts')
        script = '\n'.join(text).partition('preuninstall')[2]
        command = self.folder / 'nova-isolation-hook'
        for hook, count, wanted in ((0, 0, 0), (2, 0, 1), (2, 1, 0)):
            command.write_text(f'#!/bin/sh\nexit {hook}\n')
            command.chmod(0o755)
            status, said = building.run(
                'sh', '-c', script.partition('\n')[2], 'sh', count,
                path=f'{self.folder}:{building.PATH}',
            )  # fmt: skip
            self.assertEqual(wanted, status, said)

    def test_installed(self):
        root = self.folder / 'root'
        status, text = building.run(
            'rpm', '--root', root, '--install', '--nodeps', '--noscripts',
            *self.packages.values(),
        )  # fmt: skip
        self.assertEqual(0, status, text)
        (site,) = root.glob('usr/lib/python3*/site-packages')
        status, text = building.run(
            'python3', '-I', '-c',
            'import site, sys; site.addsitedir(sys.argv[1]);'
            'print(sys.meta_path[-1].__module__);'
            'import nova_isolation.model.reasons as m; print(m.__file__)',
            site,
        )  # fmt: skip
        self.assertEqual(
            f'nova_isolation_finder\n{site}/nova_isolation/model/reasons.py\n',
            text,
        )
        self.assertEqual(0, status)


class SpecTest(base.TestCase):
    def test_versions_agree(self):
        version = building.version()
        self.assertIn(f'\nVersion:        {version}\n', _SPEC.read_text())
        example = building.CHECKOUT / 'contrib/ansible/hosts.yml.example'
        self.assertIn(f'/nova_isolation-{version}-py3-', example.read_text())
