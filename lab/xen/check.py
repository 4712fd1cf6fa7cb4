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


"""Checks that the Xen machine enforces what its tests are about."""

import re

from lab.machine import ssh as connections
from lab.run import errors
from lab.xen import driver_domain

#: Xen's line about guests like those of the lab; see recipe.
_EAGER_FPU = re.compile(r'Support for PV VMs:.*\bEAGER_FPU\b')
_TYPE = re.compile(r'^[^:]+:[^:]+:(\w+):')
#: The program of a process -> the type in which SELinux confines it.
DOMAINS = {
    'libvirtd': 'virtd_t',
    'xenstored': 'xenstored_t',
    'xenconsoled': 'xenconsoled_t',
    # The device model of dom0 itself, as those of guests.
    'xen-qemu-system-i386': 'xendm_t',
}
#: How long an emulated machine may need for libvirtd's start.
_SECONDS = 1800


def check(ssh: connections.Ssh, boot: str) -> None:
    """Check hypervisor, dom0 and the driver domain.

    :param boot: see lab.machine.kind.Kind
    :raises LabError: when one of them does not enforce, or has not what the
        lab needs
    """
    log = ssh.check(['xl', 'dmesg'])
    if not _EAGER_FPU.search(log):
        raise errors.LabError(
            'on the machine, Xen does not say EAGER_FPU, without which '
            f"dom0's arithmetic goes wrong:\n{log[-2000:]}"
        )
    # The exit status of "xl getenforce" is the mode.
    _same('the mode of FLASK', ssh.run(['xl', 'getenforce']).stdout)
    _same('the mode of SELinux', ssh.check(['getenforce']))
    ssh.check(['virsh', '-q', '-c', 'xen:///system', 'capabilities'], _SECONDS)
    for program, wanted in DOMAINS.items():
        # ps knows only the first 15 characters.
        labels = ssh.check(['ps', '-o', 'label=', '-C', program[:15]]).split()
        found = {_TYPE.sub(r'\1:', label).split(':')[0] for label in labels}
        if found != {wanted}:
            raise errors.LabError(
                f'on the machine, {program} runs as '
                f'{", ".join(sorted(found)) or "nothing"}, not {wanted}'
            )


def check_driver_domain(ssh: connections.Ssh) -> None:
    """Check that the driver domain runs, with its label.

    :raises LabError: when it does not
    """
    listed = ssh.check(['xl', 'list', '-Z'])
    for line in listed.splitlines():
        words = line.split()
        if words[0] == driver_domain.NAME and words[-1] == driver_domain.LABEL:
            return
    raise errors.LabError(
        f'the machine has no {driver_domain.NAME} with the label '
        f'{driver_domain.LABEL}:\n{listed}'
    )


def _same(what: str, found: str, wanted: str = 'Enforcing') -> None:
    if found.strip() != wanted:
        raise errors.LabError(
            f'on the machine, {what} is {found.strip()!r}, not {wanted!r}'
        )
