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


"""Builds Xen with FLASK from Debian's source package."""

import shutil

from lab.machine import packages
from lab.machine import sources
from lab.machine import tree as trees
from lab.run import supervisor as supervisors
from lab.xen import image as images
from lab.xen import recipe

_SECONDS = 3600
#: How long the archive may need for one version.
_FETCH_SECONDS = 600
_FOLDER = '/src'
#: Fetches the newest source package that the archive serves: a mirror may
#: have one in its index and not have its files. $1 is the series, $2 the
#: folder, $3 how many seconds the archive has for one version.
FETCH = """
set -u
cd "$2" || exit
apt-get -q update >&2
versions=$(apt-cache showsrc xen | sed -n 's/^Version: //p' |
    grep "^$1[.]" | sort -ruV)
for version in $versions; do
    rm -rf ./*
    if timeout -k 10 "$3" apt-get -q -o Acquire::Retries=1 \\
        -o Acquire::http::Timeout=60 -o Acquire::https::Timeout=60 \\
        source --download-only "xen=$version" >&2
    then
        dpkg-source --no-check -x xen_*.dsc xen >&2
        exit
    fi
    echo "the archive does not serve the source package xen $version" >&2
done
echo "No source package of Xen $1 could be fetched. In the archive's index:" \\
    "$(echo ${versions:-none}). Check the mirror in apt's sources." >&2
exit 1
"""
#: The options of the hypervisor's build that differ from Debian's.
_CONFIG = """
CONFIG_EXPERT=y
CONFIG_XSM=y
CONFIG_XSM_FLASK=y
CONFIG_XSM_FLASK_AVC_STATS=y
CONFIG_XSM_FLASK_POLICY=y
# CONFIG_XSM_SILO is not set
CONFIG_XSM_FLASK_DEFAULT=y
"""
#: $@ are the names of the modules to add to the policy. checkpolicy refuses a
#: policy whose rules break one of its neverallow rules.
_BUILD = """
set -eu
cd /src/xen
for module in "$@"; do
    cp "/src-flask/$module.te" tools/flask/policy/modules/
    echo "$module = on" >>tools/flask/policy/modules/modules.conf
done
cp debian/xen-kconfig xen/.config 2>/dev/null || : >xen/.config
cat /src-flask/config >>xen/.config
options='XEN_TARGET_ARCH=x86_64 debug=n PYTHON=/usr/bin/python3'
export XEN_BUILD_DATE='in the lab' XEN_BUILD_TIME=00:00:00
make -C xen olddefconfig $options
for option in XSM_FLASK XSM_FLASK_POLICY XSM_FLASK_DEFAULT; do
    grep "^CONFIG_$option=y" xen/.config
done
make -C xen -j1 $options
gzip -dc xen/xen.gz >/src/hypervisor
"""


def build(
    supervisor: supervisors.Supervisor,
    tree: trees.Tree,
    image: images.Image,
) -> None:
    """Fetch and build the hypervisor in a root folder with build tools.

    :param tree: an empty root folder, which is filled
    :raises LabError: when no source package can be fetched, or it does not
        build, or the policy breaks a neverallow rule
    """
    packages.install(
        supervisor,
        tree,
        recipe.SUITE,
        recipe.BUILD_PACKAGES,
        'build-packages',
        source_packages=True,
    )
    tree.path(_FOLDER).mkdir()
    modules = recipe.flask_modules()
    for path in modules:
        tree.write(f'/src-flask/{path.name}', path.read_text('utf-8'))
    tree.write('/src-flask/config', _CONFIG)
    variables = sources.environment(supervisor)
    tree.run(
        'hypervisor-source',
        [
            'sh',
            '-c',
            FETCH,
            'sh',
            recipe.SERIES,
            _FOLDER,
            str(_FETCH_SECONDS),
        ],
        _SECONDS,
        variables,
        sources.paths(variables),
    )
    tree.run(
        'hypervisor',
        ['sh', '-c', _BUILD, 'sh', *(path.stem for path in modules)],
        _SECONDS,
    )
    shutil.copy(tree.path(f'{_FOLDER}/hypervisor'), image.hypervisor)
