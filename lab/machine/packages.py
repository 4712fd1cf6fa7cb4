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


"""Makes a root folder from Debian's packages."""

from collections.abc import Sequence

from lab.machine import sources
from lab.machine import tree as trees
from lab.run import supervisor as supervisors

_SECONDS = 3600
#: What nobody reads in the lab.
_EXCLUDED = ('doc', 'locale', 'man')


def install(
    supervisor: supervisors.Supervisor,
    tree: trees.Tree,
    suite: str,
    names: Sequence[str],
    step: str = 'packages',
    source_packages: bool = False,
) -> None:
    """Make the root folder of a suite with these packages.

    :param names: packages beyond mmdebstrap's variant minbase
    :param step: the name of the log
    :param source_packages: whether apt in the root folder knows the suite's
        source packages too
    :raises LabError: when a package cannot be had
    """
    options = [
        *sources.apt_options(supervisor),
        'APT::Install-Recommends "false";',
        'Acquire::Languages "none";',
    ]
    lines = sources.debian(supervisor, suite)
    if source_packages:
        lines += [line.replace('deb ', 'deb-src ', 1) for line in lines]
    supervisor.run(
        step,
        [
            *trees.CONTAINED,
            'mmdebstrap',
            '--mode=root',
            '--variant=minbase',
            f'--include={",".join(names)}',
            *(f'--aptopt={option}' for option in options),
            '--dpkgopt=force-unsafe-io',
            *(
                f'--dpkgopt=path-exclude=/usr/share/{name}/*'
                for name in _EXCLUDED
            ),
            suite,
            tree.root,
            *lines,
        ],
        _SECONDS,
        sources.environment(supervisor),
    )
