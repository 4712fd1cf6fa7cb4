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


"""Installs this project's policy modules in dom0's SELinux policy."""

from lab.machine import recipe as base
from lab.machine import tree as trees
from lab.run import errors
from lab.xen import recipe

_SECONDS = 3600
_FOLDER = '/etc/nova-isolation/selinux'
#: The modules and Debian's policy have rules that say what no rule may allow;
#: they are looked at only with this setting. The rest are semodule's options.
_INSTALL = """
set -eu
sed -i s/^expand-check=.*/expand-check=1/ /etc/selinux/semanage.conf
grep -qx expand-check=1 /etc/selinux/semanage.conf
exec semodule --noreload --store default --priority 400 "$@"
"""


def install(tree: trees.Tree) -> None:
    """Install the modules; the policy is not loaded.

    :raises LabError: when there is no module, or one cannot be installed
    """
    modules = recipe.policy_modules()
    if not modules:
        raise errors.LabError(
            f'there is no policy module for dom0 in {base.POLICY}'
        )
    modules.append(recipe.LAB_POLICY)
    for path in modules:
        tree.write(f'{_FOLDER}/{path.name}', path.read_text('utf-8'))
    tree.run(
        'policy',
        [
            'sh',
            '-c',
            _INSTALL,
            'sh',
            *(f'--install={_FOLDER}/{path.name}' for path in modules),
        ],
        _SECONDS,
    )
