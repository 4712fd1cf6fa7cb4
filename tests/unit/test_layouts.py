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

"""Nova finds the driver however pip has installed both.

The environments, the installations by pip and Nova are real. Only the folders
of Nova are linked to, and not copied.
"""

from importlib import metadata
from pathlib import Path
import shutil
import subprocess
import sys
import sysconfig
import tempfile

import fixtures
import nova

from tests.unit import base

_CHECKOUT = Path(__file__).resolve().parents[2]
_SITE = Path(sysconfig.get_path('purelib'))
_SOURCES = (
    'etc',
    'nova_isolation',
    'LICENSE',
    'README.rst',
    'nova-isolation.pth',
    'nova_isolation_finder.py',
    'pyproject.toml',
    'requirements.txt',
    'setup.cfg',
    'setup.py',
)
_FIND = """
import importlib.util
spec = importlib.util.find_spec('nova.virt.isolation')
print(spec and spec.origin)
"""
_IMPORT = """
import nova.conf
from nova import config
from oslo_utils import importutils
driver = importutils.import_class('nova.virt.isolation.IsolationDriver')
from nova.virt import driver as base
assert issubclass(driver, base.ComputeDriver)
print(driver.__module__)
"""


def _run(*command, **options):
    """What a command printed; it fails with what it printed.

    Nothing of this environment is seen, and no other folder than the root.
    """
    options = {
        'cwd': '/',
        'env': {'PATH': '/usr/bin:/bin', 'PBR_VERSION': '1.0.0'},
    } | options
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        **options,
    )
    if done.returncode:
        raise AssertionError(done.stdout)
    return done.stdout.strip()


def _sources(target):
    """Copy what the package is built from."""
    target.mkdir()
    for name in _SOURCES:
        source = _CHECKOUT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns('__pycache__')
            shutil.copytree(source, target / name, ignore=ignored)
        else:
            shutil.copy(source, target)
    return target


class Environment:
    """A virtual environment with what Nova needs, without Nova and us."""

    def __init__(self, folder):
        self.folder = folder
        self.python = folder / 'venv/bin/python'
        _run(sys.executable, '-m', 'venv', '--without-pip', folder / 'venv')
        (self.site,) = (folder / 'venv/lib').glob('python*/site-packages')
        needed = folder / 'needed'
        needed.mkdir()
        for path in _SITE.iterdir():
            if path.suffix != '.pth' and not path.name.startswith(
                ('nova', '__', 'etc')
            ):
                (needed / path.name).symlink_to(path)
        self.write('needed.pth', needed)

    def write(self, name, line):
        """Write a file into the site folder."""
        (self.site / name).write_text(f'{line}\n')

    def pip(self, *arguments):
        """Run pip in this environment, without an index."""
        return _run(
            *(self.python, '-m', 'pip', arguments[0], '-q'),
            *('--disable-pip-version-check', '--root-user-action=ignore'),
            *arguments[1:],
        )

    def install(self, *arguments):
        """Install without dependencies and index."""
        return self.pip(
            'install',
            '--no-deps',
            '--no-index',
            '--no-build-isolation',
            *arguments,
        )

    def nova(self, folder):
        """Put Nova into a folder."""
        folder.mkdir(exist_ok=True)
        (folder / 'nova').symlink_to(Path(nova.__file__).parent)

    def editable_nova(self):
        """Install Nova as devstack does."""
        source = self.folder / 'nova-source'
        self.nova(source)
        (source / 'setup.py').write_text(
            'import setuptools\n'
            'setuptools.setup('
            f"name='nova', version='{metadata.version('nova')}', "
            "packages=['nova', 'nova.virt'])\n"
        )
        self.install('--editable', source)

    def editable(self):
        """Install us as a developer does."""
        self.install('--editable', _sources(self.folder / 'isolation'))

    def runs(self, script, *options, **more):
        """What Python prints, errors included, for a script."""
        return _run(self.python, *options, '-c', script, **more)


class LayoutTestCase(base.TestCase):
    """With the wheel, which is built once.

    :cvar wheel: the file
    """

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Each test has a temporary folder of its own, later.
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.shared = Path(folder.name)
        sources = _sources(cls.shared / 'sources')
        _run(
            *(sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps'),
            *('--no-build-isolation', '--wheel-dir', cls.shared, sources),
        )
        (cls.wheel,) = cls.shared.glob('*.whl')

    def setUp(self):
        super().setUp()
        self.folder = Path(self.useFixture(fixtures.TempDir()).path)
        self.environment = self.make_environment()

    def make_environment(self):
        """The environment of the test."""
        return Environment(self.folder)

    def assertFound(self, *options):
        """Nova finds the module, by way of our finder."""
        found = self.environment.runs(_FIND, *options)
        self.assertEqual('nova_isolation_finder.py', Path(found).name, found)

    def assertNotFound(self, *options, **more):
        """Nova does not, and Python says nothing at start."""
        found = self.environment.runs(_FIND, *options, **more)
        self.assertEqual('None', found)


class LayoutsTest(LayoutTestCase):
    """Where Nova and this project are."""

    def test_one_folder(self):
        environment = self.environment
        environment.nova(environment.site)
        self.assertNotFound()
        environment.install(self.wheel)
        self.assertFound()
        # Python without the variables and the folder of the user.
        self.assertFound('-I')
        environment.pip('uninstall', '--yes', 'nova-isolation')
        self.assertNotFound()
        left = [p.name for p in environment.site.glob('nova?isolation*')]
        self.assertEqual([], left)

    def test_nova_of_a_distribution(self):
        """Nova in /usr/lib, we in /usr/local/lib: two folders."""
        environment = self.environment
        environment.nova(self.folder / 'dist-packages')
        environment.write('distribution.pth', self.folder / 'dist-packages')
        environment.install(self.wheel)
        self.assertFound()

    def test_nova_is_editable(self):
        self.environment.editable_nova()
        self.environment.install(self.wheel)
        self.assertFound()
        printed = self.environment.runs(_IMPORT, '-W', 'ignore')
        self.assertEqual('nova_isolation.virt.driver', printed)

    def test_we_are_editable(self):
        self.environment.nova(self.environment.site)
        self.environment.editable()
        self.assertFound()

    def test_both_are_editable(self):
        self.environment.editable_nova()
        self.environment.editable()
        self.assertFound()

    def test_source_of_an_editable_install_is_gone(self):
        self.environment.nova(self.environment.site)
        self.environment.editable()
        shutil.rmtree(self.folder / 'isolation')
        self.assertNotFound()


class TargetTest(LayoutTestCase):
    """pip install --target."""

    def test_nova_in_the_folder_stays(self):
        target = self.folder / 'target'
        environment = self.environment
        environment.nova(target)
        for _ in range(2):
            environment.install('--upgrade', '--target', target, self.wheel)
            self.assertTrue((target / 'nova/virt/driver.py').exists())

    def test_site_folder(self):
        target = self.folder / 'target'
        environment = self.environment
        environment.nova(environment.site)
        environment.install('--target', target, self.wheel)
        environment.write(
            'target.pth', f"import site; site.addsitedir('{target}')"
        )
        self.assertFound()

    def test_folder_in_pythonpath_only(self):
        """Python reads no .pth there, so Nova refuses to start."""
        target = self.folder / 'target'
        environment = self.environment
        environment.nova(environment.site)
        environment.install('--target', target, self.wheel)
        path = {'PATH': '/usr/bin:/bin', 'PYTHONPATH': str(target)}
        self.assertNotFound(env=path)


class StartTest(LayoutTestCase):
    """What each Python of the host does at start, because of us."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.installed = Environment(cls.shared)
        cls.installed.nova(cls.installed.site)
        cls.installed.install(cls.wheel)
        cls.finder = cls.installed.site / 'nova_isolation_finder.py'

    def make_environment(self):
        """All tests share one."""
        return self.installed

    def test_one_module_is_imported(self):
        printed = self.environment.runs(
            'import sys; print([m for m in sys.modules if "nova" in m])'
        )
        self.assertEqual("['nova_isolation_finder']", printed)

    def test_that_module_imports_sys_only(self):
        import_time = self.environment.runs('pass', '-X', 'importtime')
        lines = import_time.splitlines()
        (number,) = (
            n for n, line in enumerate(lines) if 'nova_isolation' in line
        )
        # What a module imports stands above it, further to the right.
        above, ours = (line.split('|')[-1] for line in lines[number - 1 :][:2])

        def indent(text):
            return len(text) - len(text.lstrip())

        self.assertLessEqual(indent(above), indent(ours), import_time)

    def test_registered_once(self):
        printed = self.environment.runs(
            'import nova_isolation_finder as f, sys; f.register(); '
            'print(sys.meta_path.count(f.DriverFinder), sys.meta_path[-1])'
        )
        self.assertEqual(
            "1 <class 'nova_isolation_finder.DriverFinder'>", printed
        )

    def test_no_other_name_is_answered(self):
        printed = self.environment.runs(
            'import nova_isolation_finder as f\n'
            'for name in ("nova", "nova.virt", "nova.virt.isolation.x", '
            '"nova.virt.isolation2", "isolation", "os", "sitecustomize"):\n'
            '    print(f.DriverFinder.find_spec(name))'
        )
        self.assertEqual({'None'}, set(printed.splitlines()))

    def test_a_module_of_nova_comes_first(self):
        own = self.folder / 'own'
        (own / 'nova/virt').mkdir(parents=True)
        for name in ('nova', 'nova/virt', 'nova/virt/isolation'):
            (own / name).mkdir(exist_ok=True)
            (own / name / '__init__.py').touch()
        found = self.environment.runs(
            _FIND, env={'PYTHONPATH': str(own), 'PATH': '/usr/bin'}
        )
        self.assertEqual(str(own / 'nova/virt/isolation/__init__.py'), found)

    def test_the_finder_is_missing(self):
        moved = self.finder.rename(self.finder.with_suffix('.gone'))
        self.addCleanup(moved.rename, self.finder)
        self.assertNotFound()

    def test_the_finder_is_broken(self):
        good = self.finder.read_text()
        self.addCleanup(self.finder.write_text, good)
        for text in ('raise RuntimeError', 'this is no Python', '\0'):
            self.finder.write_text(text)
            self.assertNotFound()

    def test_no_site_folders(self):
        path = f'{self.environment.site}:{self.environment.folder / "needed"}'
        self.assertNotFound('-S', env={'PYTHONPATH': path, 'PATH': '/usr/bin'})
