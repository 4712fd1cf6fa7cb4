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

"""What the tests build packages from, and how they run programs."""

import configparser
from pathlib import Path
import shutil
import subprocess

CHECKOUT = Path(__file__).resolve().parents[2]
#: The distribution's programs: a package is built with its Python.
PATH = '/usr/sbin:/usr/bin:/sbin:/bin'


def run(*command, path=PATH, cwd='/'):
    """A program's exit status, and all that it printed."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={'PATH': path, 'LC_ALL': 'C.UTF-8', 'HOME': '/nonexistent'},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    return done.returncode, done.stdout


def _in_git(*folders):
    """The files in git, in these folders alone if any are named."""
    files = subprocess.run(
        ['git', 'ls-files', '-z', *folders],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return list(filter(None, files.split('\0')))


def data_files():
    """What the package nova_isolation has beside its modules."""
    return {
        name for name in _in_git('nova_isolation') if not name.endswith('.py')
    }


def copy_source(target):
    """Copy what is in git."""
    for name in _in_git():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, target / name)


def version():
    """The version that debian/changelog names."""
    changelog = (CHECKOUT / 'debian/changelog').read_text()
    return changelog.partition('(')[2].partition('-')[0]


def commands():
    """The names of the commands of the project, as setup.cfg has them."""
    setup_cfg = configparser.ConfigParser(delimiters='=')
    setup_cfg.read(CHECKOUT / 'setup.cfg', 'utf-8')
    lines = setup_cfg['entry_points']['console_scripts'].strip().split('\n')
    return {line.partition('=')[0].strip() for line in lines}
