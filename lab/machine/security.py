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


"""Whether the machine's security module is in force, before all else.

A machine that came up without it would let every guest run, and most tests
would pass for the wrong reason.
"""

from lab.machine import recipe
from lab.machine import ssh as connections
from lab.run import errors

#: The command that tells the module's state, and its answer when in force.
_STATE = {
    'selinux': (['getenforce'], 'Enforcing'),
    'apparmor': (['cat', '/sys/module/apparmor/parameters/mode'], 'enforce'),
}
#: The label of a libvirtd that can confine guests.
_LIBVIRTD = {
    'selinux': 'system_u:system_r:virtd_t:s0',
    'apparmor': 'libvirtd (enforce)',
}
#: Starting libvirtd and its first probe of QEMU, emulated.
_SECONDS = 600


def check(ssh: connections.Ssh, module: recipe.Module) -> None:
    """Ask the kernel and libvirt of the machine.

    :raises LabError: when the module is not in force
    """
    command, wanted = _STATE[module]
    _same('the kernel', ssh.check(command).strip(), wanted)
    capabilities = ssh.check(
        ['virsh', '-q', '-c', 'qemu:///system', 'capabilities'], _SECONDS
    )
    if f'<model>{module}</model>' not in capabilities:
        raise errors.LabError(
            f'libvirt of the machine has no driver for {module}:\n'
            f'{capabilities}'
        )
    label = ssh.check(['ps', '-o', 'label=', '-C', 'libvirtd']).strip()
    _same('libvirtd', label, _LIBVIRTD[module])


def _same(who: str, found: str, wanted: str) -> None:
    if found != wanted:
        raise errors.LabError(
            f'on the machine, {who} is {found!r}, not {wanted!r}'
        )
