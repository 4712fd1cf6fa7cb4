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


"""Checks that the machine's security module is enforcing.

A machine without it would run every guest, and most tests would pass for the
wrong reason.
"""

from lab.machine import recipe
from lab.machine import ssh as connections
from lab.run import errors

#: The command that prints the state of the module, and the enforcing state.
_STATE = {
    'selinux': (['getenforce'], 'Enforcing'),
    'apparmor': (['cat', '/sys/module/apparmor/parameters/mode'], 'enforce'),
}
#: The label of a libvirtd that can confine guests.
_LIBVIRTD = {
    'selinux': 'system_u:system_r:virtd_t:s0',
    'apparmor': 'libvirtd (enforce)',
}
#: How long an emulated machine may need for libvirtd's first probe of QEMU.
_SECONDS = 1800


def check(ssh: connections.Ssh, module: recipe.Module) -> None:
    """Check the kernel and libvirt of the machine.

    :raises LabError: when the module is not enforcing
    """
    command, wanted = _STATE[module]
    _same('the mode of the module', ssh.check(command).strip(), wanted)
    capabilities = ssh.check(
        ['virsh', '-q', '-c', 'qemu:///system', 'capabilities'], _SECONDS
    )
    if f'<model>{module}</model>' not in capabilities:
        raise errors.LabError(
            f'libvirt of the machine has no security driver for {module}:\n'
            f'{capabilities}'
        )
    label = ssh.check(['ps', '-o', 'label=', '-C', 'libvirtd']).strip()
    _same('the label of libvirtd', label, _LIBVIRTD[module])


def _same(what: str, found: str, wanted: str) -> None:
    if found != wanted:
        raise errors.LabError(
            f'on the machine, {what} is {found!r}, not {wanted!r}'
        )
