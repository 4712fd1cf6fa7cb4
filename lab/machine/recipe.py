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


"""The contents of the machine as data, and the key of these contents."""

from collections.abc import Iterable
import hashlib
from pathlib import Path
from typing import Literal

from lab.machine import pins
from lab.run import errors
from lab.run import layout as layouts
from lab.run import supervisor as supervisors

#: The security module of the kernel.
Module = Literal['selinux', 'apparmor']
MODULES: tuple[Module, ...] = ('selinux', 'apparmor')

SUITE = 'trixie'
#: Packages beyond mmdebstrap's variant minbase.
PACKAGES = (
    # a machine
    'ca-certificates',
    'dbus',
    'e2fsprogs',
    'initramfs-tools',
    'iproute2',
    'kmod',
    'libpam-systemd',
    'linux-image-cloud-amd64',
    'openssh-server',
    'procps',
    'systemd-sysv',
    'udev',
    'zstd',
    # a compute host
    'libvirt-clients',
    'libvirt-daemon-system',
    'python3-libvirt',
    'python3-venv',
    'qemu-system-x86',
    'qemu-utils',
    'sudo',
    # the security modules
    'apparmor',
    'apparmor-utils',
    'auditd',
    'policycoreutils',
    'policycoreutils-python-utils',
    'selinux-policy-default',
    'selinux-utils',
    'setools',
)
#: Units that work in the background, or wait for what never happens.
MASKED_UNITS = (
    'apt-daily-upgrade.timer',
    'apt-daily.timer',
    'dpkg-db-backup.timer',
    'e2scrub_all.timer',
    'e2scrub_reap.service',
    'fstrim.timer',
    'libvirt-guests.service',
    'logrotate.timer',
    'man-db.timer',
    'systemd-network-generator.service',
    'systemd-networkd-wait-online.service',
    'systemd-timesyncd.service',
)
ENABLED_UNITS = ('ssh.service', 'systemd-networkd.service')

#: QEMU's user network: the address of the machine, and the address at which
#: the machine reaches 127.0.0.1 of this one.
ADDRESS, GATEWAY = '10.0.2.15', '10.0.2.2'
#: The folders of Nova on the machine.
VENV = Path('/opt/nova')
STATE = Path('/var/lib/nova')
INSTANCES = STATE / 'instances'
CONFIGURATION = Path('/etc/nova')

FILES = {
    '/etc/fstab': '/dev/vda / ext4 defaults,noatime 0 0\n',
    '/etc/hostname': 'lab-machine\n',
    '/etc/machine-id': '0123456789abcdef0123456789abcdef\n',
    '/etc/systemd/network/10-lab.network': (
        '[Match]\nName=eth0\n'
        f'[Network]\nAddress={ADDRESS}/24\nGateway={GATEWAY}\n'
        'IPv6AcceptRA=no\nLinkLocalAddressing=no\n'
    ),
    '/etc/ssh/sshd_config.d/lab.conf': (
        'UseDNS no\nPermitRootLogin prohibit-password\n'
        'PasswordAuthentication no\nLoginGraceTime 0\n'
    ),
    # The emulated machine is very slow when this one is busy.
    '/etc/systemd/system.conf.d/lab.conf': (
        '[Manager]\nDefaultTimeoutStartSec=30min\n'
        'DefaultDeviceTimeoutSec=30min\n'
    ),
    # Only the modules that a root disk on virtio needs.
    '/etc/initramfs-tools/conf.d/lab': 'MODULES=list\nFSTYPE=ext4\n',
    '/etc/initramfs-tools/modules': (
        'virtio_pci\nvirtio_blk\nvirtio_net\next4\n'
    ),
    '/etc/selinux/config': 'SELINUX=enforcing\nSELINUXTYPE=default\n',
}
#: Files that say that /etc and /var are as new as /usr. Without them systemd
#: rebuilds the journal's catalogue, the linker's cache and more at first boot.
UPDATED = ('/etc/.updated', '/var/.updated')
#: The files of /etc/apparmor.d that are kept. The other profiles, of browsers
#: and the like, are compiled at boot, which takes an emulated machine minutes.
PROFILES = (
    'usr.lib.libvirt.virt-aa-helper',
    'usr.sbin.libvirtd',
)
#: Added to libvirt's qemu.conf. libvirt chooses the security driver itself,
#: and Debian's runs QEMU as a user of its own.
QEMU_CONF = 'security_default_confined = 1\n'

_COMMAND_LINE = (
    'root=/dev/vda rw rootflags=noatime console=ttyS0 net.ifnames=0 '
    'audit=1 audit_backlog_limit=8192 mitigations=off '
    # A machine whose kernel has failed must end, not go on without the
    # process that was hit. QEMU ends at a reboot.
    'oops=panic panic=-1'
)
_MODULE_ARGUMENTS: dict[Module, str] = {
    'selinux': 'security=selinux selinux=1 enforcing=1',
    'apparmor': 'security=apparmor apparmor=1 selinux=0',
}

#: Lets Python compile, and the kernel read, what nova-compute needs.
WARM_IMPORT = (
    'import nova.cmd.compute, nova.compute.manager, '
    'nova.virt.libvirt.driver, oslo_messaging._drivers.impl_rabbit, '
    'libvirt, elftools.elf.elffile, nova.network.neutron'
)

POLICY = layouts.CHECKOUT / 'etc' / 'nova-isolation' / 'selinux'
CONSTRAINTS = layouts.CHECKOUT / 'constraints.txt'
REQUIREMENTS = layouts.CHECKOUT / 'requirements.txt'
#: The policy module for a nova-compute that has a domain of its own, and a
#: module of the lab with such a domain, in which tests run programs.
DOMAIN_POLICY = 'nova_compute.cil'
DOMAIN_MODULE = Path(__file__).with_name('nova_compute_t.cil')
DOMAIN = 'system_u:system_r:nova_compute_t:s0'
#: Other policies of the machine. They are made during the build, because an
#: emulated machine needs minutes for that. In the first a type is permissive;
#: the second lacks DOMAIN_POLICY.
PERMISSIVE_POLICY = Path('/var/lib/selinux-other/permissive')
PERMISSIVE_TYPE = 'svirt_offline_t'
UNASSISTED_POLICY = Path('/var/lib/selinux-other/unassisted')
#: Modules of this package that do not influence the build.
_NOT_BUILDING = (
    '__init__.py',
    'cache.py',
    'kind.py',
    'lan.py',
    'pins.py',
    'restore.py',
)
#: Modules of the policy for dom0 of a Xen host (lab.xen).
_OF_XEN = 'xen_'


def kernel_command_line(module: Module) -> str:
    """The kernel command line that enables a security module."""
    return f'{_COMMAND_LINE} {_MODULE_ARGUMENTS[module]}'


def policy_modules() -> list[Path]:
    """This project's SELinux policy modules for hosts with QEMU guests."""
    return sorted(
        path
        for path in POLICY.glob('*.cil')
        if not path.name.startswith(_OF_XEN)
    )


def key(supervisor: supervisors.Supervisor) -> str:
    """A name for the machine that changes when an input of it changes.

    The inputs are the modules that build it, the policy modules, what this
    project and Nova require, in which versions, and the version of QEMU. Not
    among them are this project, which is installed on the machine when a
    cloud starts, what only its tests need, and the versions in Debian's
    archive.

    :raises LabError: when QEMU does not run
    """
    return digest(
        supervisor,
        [
            *sources(Path(__file__).parent),
            DOMAIN_MODULE,
            *policy_modules(),
        ],
    )


def sources(folder: Path) -> list[Path]:
    """The Python modules of a folder that influence what is built."""
    return [
        path
        for path in sorted(folder.glob('*.py'))
        if path.name not in _NOT_BUILDING
    ]


def digest(supervisor: supervisors.Supervisor, paths: Iterable[Path]) -> str:
    """A name for a machine that is built from these files.

    What this project and Nova require, in which versions, and the version of
    QEMU count too.

    :raises LabError: when QEMU does not run
    """
    found = hashlib.sha256()
    for path in (*paths, REQUIREMENTS):
        found.update(f'{path.name}\0'.encode())
        found.update(hashlib.sha256(path.read_bytes()).digest())
    found.update('\n'.join(pins.needed(_text(CONSTRAINTS), _roots())).encode())
    # Another version of QEMU may not be able to read the snapshot.
    version = supervisor.output(['qemu-system-x86_64', '--version'])
    if version.returncode:
        raise errors.LabError(f'qemu-system-x86_64: {version.stderr}')
    found.update(version.stdout.encode())
    return found.hexdigest()[:16]


def _roots() -> list[str]:
    """What pip installs on the machine, without what that needs."""
    lines = (
        line.partition('#')[0] for line in _text(REQUIREMENTS).split('\n')
    )
    return [*filter(None, map(str.strip, lines)), 'nova']


def _text(path: Path) -> str:
    return path.read_text('utf-8')
