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


"""The contents of the Xen machine as data, and the key of these contents."""

from pathlib import Path

from lab.machine import recipe as base
from lab.run import layout as layouts
from lab.run import supervisor as supervisors

#: The only way in which the machine boots.
BOOT = 'xen'

#: dom0's suite. The toolstack has to be of the hypervisor's series, and the
#: hypervisor's source is wanted from the same suite.
SUITE = 'bookworm'
SERIES = '4.17'
#: Packages of dom0 beyond mmdebstrap's variant minbase.
PACKAGES = (
    # a machine
    'busybox-static',
    'ca-certificates',
    'dbus',
    'e2fsprogs',
    'initramfs-tools',
    'iproute2',
    'kmod',
    'libpam-systemd',
    'linux-image-amd64',
    'openssh-server',
    'procps',
    'systemd-sysv',
    'udev',
    'zstd',
    # a compute host
    'genisoimage',
    'libvirt-clients',
    'libvirt-daemon-driver-xen',
    'libvirt-daemon-system',
    'python3-libvirt',
    'python3-venv',
    'qemu-system-xen',
    'qemu-utils',
    'seabios',
    'sudo',
    f'xen-utils-{SERIES}',
    'xen-utils-common',
    'xenstore-utils',
    # SELinux
    'auditd',
    'policycoreutils',
    'policycoreutils-python-utils',
    'selinux-policy-default',
    'selinux-utils',
    'setools',
)
#: Packages that build the hypervisor, its policy and the guests' program.
BUILD_PACKAGES = (
    'bc',
    'bison',
    'build-essential',
    'ca-certificates',
    'checkpolicy',
    'dpkg-dev',
    'flex',
    'm4',
    'python3',
    'xz-utils',
    'zlib1g-dev',
)
MASKED_UNITS = (
    *base.MASKED_UNITS,
    'selinux-autorelabel.service',
    'xendomains.service',
)
ENABLED_UNITS = (*base.ENABLED_UNITS, 'auditd.service', 'libvirtd.service')

#: Where Debian has Xen's programs.
PROGRAMS = Path(f'/usr/lib/xen-{SERIES}/bin')
#: The folder of xenconsoled's logs of guests.
CONSOLES = Path('/var/log/xen/console')
#: The folder of the guests' files on the machine.
GUESTS = Path('/var/lib/libvirt/images/lab')
_MODULES = (
    'xen-privcmd',
    'xen-evtchn',
    'xen-gntdev',
    'xen-gntalloc',
    'xenfs',
    'xen-blkback',
    'xen-netback',
)
FILES = base.FILES | {
    '/etc/hostname': 'lab-xen\n',
    '/etc/hosts': '127.0.0.1 localhost lab-xen\n',
    '/etc/machine-id': '0123456789abcdef0123456789abcdee\n',
    '/etc/modules-load.d/lab-xen.conf': '\n'.join(_MODULES) + '\n',
}
#: Appended to /etc/default/xen. Debian prefers the xenstored in OCaml, of
#: which its SELinux policy knows nothing. Its init script reads
#: XENCONSOLED_ARGS, whatever the comments in that file say.
DEFAULTS = (
    f'XENSTORED={PROGRAMS}/xenstored\n'
    f'XENCONSOLED_ARGS="--log=guest --log-dir={CONSOLES}"\n'
)
#: libvirt's description of the oldest processors, and what its Xen driver
#: would need of the emulated one in vain: QEMU has no VME to emulate.
CPU_MAP = '/usr/share/libvirt/cpu_map/x86_486.xml'
CPU_FEATURE = "'vme'"

MEMORY_MIB, DOM0_MIB = 3072, 1536
#: Without eager-fpu, dom0 loses the state of its floating point unit while a
#: guest runs: Xen switches it lazily on the emulated processor. With nested
#: paging as QEMU emulates it, guests of the kinds PVH and HVM died at once in
#: a trial; hap=0 gives them shadow page tables.
HYPERVISOR_COMMAND_LINE = (
    'placeholder flask=enforcing spec-ctrl=eager-fpu hap=0 '
    f'dom0_mem={DOM0_MIB}M,max:{DOM0_MIB}M '
    'console=com1 com1=115200,8n1 loglvl=all guest_loglvl=all '
    'conring_size=256k noreboot=0'
)
#: A panic restarts the machine, and QEMU then ends; see lab.machine.recipe.
KERNEL_COMMAND_LINE = (
    'placeholder root=/dev/vda rw rootflags=noatime console=hvc0 '
    'net.ifnames=0 audit=1 audit_backlog_limit=8192 mitigations=off '
    'security=selinux selinux=1 enforcing=1 oops=panic panic=-1'
)

#: A module of the lab's own beside those for admins.
LAB_POLICY = Path(__file__).with_name('nova_compute_lab.cil')
#: Modules of the hypervisor's policy, for admins as an example.
FLASK = layouts.CHECKOUT / 'contrib' / 'flask'
#: The type of a driver domain, and that of the guests of a flavor.
DRIVER_DOMAIN_TYPE, GUEST_TYPE = 'drvdom_t', 'alice_t'


def policy_modules() -> list[Path]:
    """This project's SELinux policy modules for dom0."""
    return sorted(base.POLICY.glob('xen_*.cil'))


def flask_modules() -> list[Path]:
    """The modules that the hypervisor's policy has beside Xen's own."""
    return sorted(FLASK.glob('*.te'))


def key(supervisor: supervisors.Supervisor) -> str:
    """A name for the machine; see lab.machine.recipe.key.

    The inputs are the modules that build it, here and in lab.machine, both
    kinds of policy modules, the programs of its guests, and the rest as there.

    :raises LabError: when QEMU does not run
    """
    here = Path(__file__).parent
    return base.digest(
        supervisor,
        [
            *base.sources(Path(base.__file__).parent),
            *base.sources(here),
            *sorted(path for path in here.iterdir() if path.suffix == '.c'),
            *policy_modules(),
            LAB_POLICY,
            *flask_modules(),
        ],
    )
