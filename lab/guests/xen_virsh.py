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


"""Guests that virsh makes on a host with Xen, without Nova."""

from collections.abc import Sequence
import shlex

from lab.guests import xen_domain
from lab.machine import ssh as connections
from lab.run import supervisor as supervisors
from lab.xen import driver_domain
from lab.xen import recipe

_XML = """<domain type='xen'>
  <name>{name}</name>{uuid}
  <metadata>{metadata}</metadata>
  <memory unit='MiB'>96</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='xenpv'>linux</type>
    <kernel>{folder}/vmlinux</kernel>
    <initrd>{folder}/initramfs</initrd>
    <cmdline>console=hvc0 quiet</cmdline>
  </os>
  <on_reboot>{on_reboot}</on_reboot>
  <devices>
    {devices}
    <console type='pty'><target type='xen' port='0'/></console>
  </devices>
  <seclabel type='static' model='flask' relabel='no'>
    <label>{label}</label>
  </seclabel>
</domain>
"""
#: A disk that the driver domain serves from a file of its own.
_DISK = f"""<disk type='file' device='disk'>
      <driver name='phy' type='raw'/>
      <source file='{driver_domain.DISK}'/>
      <backenddomain name='{driver_domain.NAME}'/>
      <target dev='xvda' bus='xen'/>
    </disk>"""
_SECONDS = 600
_VIRSH = ('virsh', '-q', '-c', 'xen:///system')


def create(
    supervisor: supervisors.Supervisor,
    ssh: connections.Ssh,
    name: str,
    type_: str,
    served: bool = False,
    metadata: str = '',
    on_reboot: str = 'destroy',
) -> xen_domain.Domain:
    """Start a guest with ``virsh create``, which nobody verifies.

    :param ssh: the connection to dom0
    :param type_: the type of its FLASK label
    :param served: whether it has a disk, from the driver domain
    :param metadata: XML for its ``<metadata>``
    :param on_reboot: what libvirt does when the guest reboots itself
    :raises LabError: when virsh refuses
    """
    _virsh(
        ssh,
        ['create /dev/stdin'],
        _xml(name, type_, served, metadata=metadata, on_reboot=on_reboot),
    )
    return xen_domain.Domain(supervisor, ssh, name)


def replace(
    supervisor: supervisors.Supervisor,
    ssh: connections.Ssh,
    name: str,
    uuid: str,
    type_: str,
) -> xen_domain.Domain:
    """End a guest, and start another one in its place, all at once.

    :param ssh: the connection to dom0
    :param name: the name of both
    :param uuid: the UUID of both
    :param type_: the type of the FLASK label of the new one
    :raises LabError: when virsh refuses
    """
    _virsh(
        ssh,
        [f'destroy {uuid}', f'undefine {uuid}', 'create /dev/stdin'],
        _xml(name, type_, uuid=uuid),
    )
    return xen_domain.Domain(supervisor, ssh, name)


def destroy(ssh: connections.Ssh, name: str) -> None:
    """End such a guest."""
    _virsh(ssh, [f'destroy {name}'])


def _xml(
    name: str,
    type_: str,
    served: bool = False,
    uuid: str | None = None,
    metadata: str = '',
    on_reboot: str = 'destroy',
) -> str:
    return _XML.format(
        name=name,
        uuid=f'<uuid>{uuid}</uuid>' if uuid else '',
        folder=recipe.GUESTS,
        label=f'system_u:system_r:{type_}',
        devices=_DISK if served else '',
        metadata=metadata,
        on_reboot=on_reboot,
    )


def _virsh(
    ssh: connections.Ssh, commands: Sequence[str], text: str = ''
) -> None:
    """Run commands of virsh one after another, each of which has to succeed.

    :param text: the standard input of the last one
    """
    virsh = shlex.join(_VIRSH)
    ssh.check(
        ['sh', '-c', ' && '.join(f'{virsh} {one}' for one in commands)],
        _SECONDS,
        text,
    )
