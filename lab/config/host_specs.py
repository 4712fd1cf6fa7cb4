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

"""The compute hosts that a lab can have, as data."""

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
from typing import Any
from typing import get_args
from typing import Literal

from lab.config import ini
from lab.run import errors
from lab.xen import recipe as xen

STOCK_DRIVER = 'libvirt.LibvirtDriver'
OUR_DRIVER = 'isolation.IsolationDriver'
XEN_DRIVER = 'isolation.IsolationXenDriver'

#: What a compute host is that is a virtual machine: one whose kernel has a
#: security module (lab.machine), or one with Xen (lab.xen).
Machine = Literal['selinux', 'apparmor', 'xen']
#: Those beside which no deployer runs nova-compute in a container.
_NOT_CONTAINED: tuple[Machine, ...] = ('apparmor', 'xen')

Layout = Literal['host', 'container']
LAYOUTS: tuple[Layout, ...] = get_args(Layout)

#: A machine whose processor is emulated takes some twenty times as long for
#: everything, and its host may be busy.
_SLOW: ini.Options = {'probe_timeout': 60, 'measure_timeout': 400}


@dataclasses.dataclass(frozen=True)
class HostSpec:
    """What a compute host is to be: its programs and their settings."""

    #: The host name, for Nova and for libvirt; at most 20 characters.
    name: str
    #: None: the host is made of namespaces of this machine.
    machine: Machine | None = None
    #: The user that its nova-compute runs as.
    user: Literal['nova', 'root'] = 'nova'
    #: Whether /proc hides the processes of other users from its nova-compute.
    hidepid: bool = False
    #: seccomp_sandbox of its qemu.conf.
    sandbox: bool = True
    #: 'stock' is Debian's QEMU. 'execstack' is a copy of that whose
    #: PT_GNU_STACK asks for an executable stack. 'stripped' is one that the
    #: lab builds, with no component of the catalogue and all hardening.
    emulator: Literal['stock', 'execstack', 'stripped'] = 'stock'
    #: Nova's [DEFAULT] compute_driver.
    driver: str = OUR_DRIVER
    #: Options of this project: section of nova.conf -> its options.
    isolation: Mapping[str, ini.Options] = dataclasses.field(
        default_factory=dict
    )
    #: Where nova-compute runs: beside libvirtd, or in a container without
    #: QEMU (see lab.hosts.container).
    layout: Layout = 'host'
    #: Its number in a network of two machines, by which they send guests to
    #: each other (see lab.machine.lan).
    lan: Literal[1, 2] | None = None
    #: More options for its nova.conf; they win over those of the lab.
    settings: Mapping[str, ini.Options] = dataclasses.field(
        default_factory=dict
    )

    @property
    def guarded(self) -> bool:
        """Whether its driver is one of this project."""
        return self.driver in (OUR_DRIVER, XEN_DRIVER)

    @property
    def has_tpm(self) -> bool:
        """Whether it has a TPM in a lab with attestation."""
        return self.machine in (None, 'xen')

    def stock(self) -> 'HostSpec':
        """The same host, with stock Nova instead of this project."""
        return dataclasses.replace(self, driver=STOCK_DRIVER, isolation={})

    def laid_out(self, layout: Layout) -> 'HostSpec':
        """The same host, with nova-compute elsewhere.

        :raises LabError: when the host has no such layout
        """
        if self.machine in _NOT_CONTAINED and layout != 'host':
            raise errors.LabError(
                f'no deployer runs nova-compute in a container on a host with '
                f'{self.machine}: {self.name} has no layout {layout!r}'
            )
        if self.lan is not None and layout != 'host':
            raise errors.LabError(
                f'{self.name} sends guests with libvirtd, which layout '
                f'{layout!r} does not have'
            )
        return dataclasses.replace(self, layout=layout)

    def as_data(self) -> dict[str, Any]:
        """The host as data for from_data(), which can be written as JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> 'HostSpec':
        """The host that as_data() described."""
        return cls(**data)


KNOWN = {
    host.name: host
    for host in (
        # LSPP presupposes a state that a machine without SELinux is not in.
        HostSpec(
            'cpu-hardened',
            isolation={'isolation_certification': {'declared': 'CAPP,LSPP'}},
        ),
        HostSpec('cpu-plain', sandbox=False, emulator='execstack'),
        HostSpec('cpu-stripped', emulator='stripped'),
        HostSpec('cpu-stock').stock(),
        HostSpec('cpu-root', user='root'),
        HostSpec('cpu-hidepid', hidepid=True),
        HostSpec(
            'cpu-selinux',
            machine='selinux',
            isolation={
                'isolation': _SLOW,
                'isolation_svirt': {'types': 'svirt_t,svirt_offline_t'},
            },
        ),
        HostSpec(
            'cpu-apparmor',
            machine='apparmor',
            isolation={'isolation': _SLOW},
        ),
        HostSpec(
            'cpu-xen',
            machine='xen',
            driver=XEN_DRIVER,
            isolation={
                'isolation': {
                    **_SLOW,
                    # Nova itself waits minutes for a libvirt that hangs.
                    'fault_timeout': 900,
                    'qemu_run_dir': '/run/libvirt/libxl',
                    # Its guests are verified again soon after a change.
                    'verify_interval': 20,
                },
                'isolation_xsm': {
                    'labels': f'domU_t,isolated_domU_t,{xen.GUEST_TYPE}',
                    'backends': xen.DRIVER_DOMAIN_TYPE,
                },
            },
            settings={
                'DEFAULT': {
                    # Xen overcommits no memory.
                    'ram_allocation_ratio': 1,
                    # Nova's default. One measurement takes a good part of it.
                    'update_resources_interval': 60,
                },
                # A raw one of a guest's disk has a GiB of zeros.
                'libvirt': {'snapshot_image_format': 'qcow2'},
            },
        ),
    )
}
DEFAULT = ('cpu-hardened', 'cpu-plain')


def known(names: Iterable[str]) -> list[HostSpec]:
    """The hosts with these names.

    :raises LabError: when a name is unknown
    """
    names = list(names)
    unknown = [name for name in names if name not in KNOWN]
    if unknown:
        raise errors.LabError(
            f'no such compute host: {", ".join(unknown)} (there are '
            f'{", ".join(KNOWN)})'
        )
    return [KNOWN[name] for name in names]
