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

"""Installs SELinux policy modules in the machine's root folder."""

from lab.machine import recipe
from lab.machine import tree as trees
from lab.run import errors

_SECONDS = 3600
_FOLDER = '/etc/nova-isolation/selinux'
#: The policy is installed and not loaded. TCG executes memory that it has
#: written; Debian's policy allows that to a guest with this boolean only.
#: $1 is the policy without the module $2, $3 the policy with the module $4
#: (both are for tests), and what follows are the options for all modules but
#: those.
_POLICY = """
set -eu
unassisted=$1 own=$2 permissive=$3 type=$4
shift 4
semodule --noreload --store default --priority 400 "$@"
semanage boolean --noreload --modify --on virt_use_execmem
cp /etc/selinux/default/policy/policy.* "$unassisted"
semodule --noreload --store default --priority 400 --install="$own" \
    --priority 500 --install="$type"
cp /etc/selinux/default/policy/policy.* "$permissive"
semodule --noreload --store default --priority 500 --remove=type
"""


def install(tree: trees.Tree) -> None:
    """Install the modules, and make the other policies of recipe.

    :raises LabError: when there is no module, or one cannot be installed
    """
    modules = recipe.policy_modules()
    if not modules:
        raise errors.LabError(
            f'there is no SELinux policy module in {recipe.POLICY}'
        )
    modules.insert(0, recipe.DOMAIN_MODULE)
    for path in modules:
        tree.write(f'{_FOLDER}/{path.name}', path.read_text('utf-8'))
    permissive = f'{recipe.PERMISSIVE_POLICY.parent}/type.cil'
    tree.write(permissive, f'(typepermissive {recipe.PERMISSIVE_TYPE})\n')
    tree.run(
        'policy',
        [
            'sh',
            '-c',
            _POLICY,
            'sh',
            recipe.UNASSISTED_POLICY,
            f'{_FOLDER}/{recipe.DOMAIN_POLICY}',
            recipe.PERMISSIVE_POLICY,
            permissive,
            *(
                f'--install={_FOLDER}/{path.name}'
                for path in modules
                if path.name != recipe.DOMAIN_POLICY
            ),
        ],
        _SECONDS,
    )
