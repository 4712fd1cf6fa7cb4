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


"""Finds the package archives of this machine, to build others from them.

They are read from the configuration of apt and pip, in which the admin of
this machine has chosen mirrors, proxies and certificates.
"""

import ast
from collections.abc import Iterator
import os
from pathlib import Path
import re
import sys

from lab.run import errors
from lab.run import supervisor as supervisors

#: The environment variables that programs need for the network.
_ENVIRONMENT = re.compile(
    r'PIP_.*|SSL_CERT_.*|REQUESTS_CA_BUNDLE|(https?|no|all)_proxy', re.I
)
_APT_OPTION = re.compile(r'Acquire::(?:http|https|Check)[^ ]* ".+";')
#: The files that a program needs to find and trust a server.
_FOR_NETWORK = ('/etc/resolv.conf', '/etc/ssl/certs/ca-certificates.crt')
_SECONDS = 300


def debian(supervisor: supervisors.Supervisor, suite: str) -> list[str]:
    """The lines of sources.list for a suite of Debian.

    :raises LabError: when apt of this machine knows no Debian archive
    """
    for update in (False, True):
        if update:
            _check(supervisor, 'apt-get', '-q', 'update')
        archives = dict(
            line.split('|')
            for line in _check(
                supervisor,
                'apt-get',
                'indextargets',
                '--format',
                '$(LABEL)|$(REPO_URI)',
                'Created-By: Packages',
            ).splitlines()
        )
        if {'Debian', 'Debian-Security'} <= archives.keys():
            main, security = archives['Debian'], archives['Debian-Security']
            return [
                f'deb {main} {suite} main',
                f'deb {main} {suite}-updates main',
                f'deb {security} {suite}-security main',
            ]
    raise errors.LabError(
        "apt of this machine knows no archives labelled 'Debian' and "
        f"'Debian-Security', only {', '.join(archives) or 'none'}"
    )


def apt_options(supervisor: supervisors.Supervisor) -> list[str]:
    """The options with which apt reaches its archives."""
    lines = _check(supervisor, 'apt-config', 'dump').splitlines()
    return [line for line in lines if _APT_OPTION.fullmatch(line)]


def environment(supervisor: supervisors.Supervisor) -> dict[str, str]:
    """The environment variables with which pip and apt find their servers.

    Options in pip's configuration files become variables of the same
    meaning.
    """
    found = {
        name: value
        for name, value in os.environ.items()
        if _ENVIRONMENT.fullmatch(name)
    }
    for line in _check(
        supervisor, sys.executable, '-m', 'pip', 'config', 'list'
    ).splitlines():
        name, _, value = line.partition('=')
        section, _, option = name.partition('.')
        if section in ('global', 'install'):
            variable = 'PIP_' + option.upper().replace('-', '_')
            found.setdefault(variable, str(ast.literal_eval(value)))
    return found


def paths(variables: dict[str, str]) -> list[Path]:
    """The existing files and folders that environment variables name."""
    named = {Path(name) for name in _FOR_NETWORK}
    named.update(_named(variables))
    return sorted(path for path in named if path.exists())


def _named(variables: dict[str, str]) -> Iterator[Path]:
    for name, value in variables.items():
        # The caller mounts the cache itself, where it needs it.
        if name != 'PIP_CACHE_DIR':
            for word in value.split():
                word = word.removeprefix('file://')
                if word.startswith('/'):
                    yield Path(word)


def _check(supervisor: supervisors.Supervisor, *command: str) -> str:
    result = supervisor.output(command, _SECONDS)
    if result.returncode:
        raise errors.LabError(f'{" ".join(command)}: {result.stderr}')
    return result.stdout
