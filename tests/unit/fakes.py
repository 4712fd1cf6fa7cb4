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

"""A host and a guest that are what a test says they are."""

import dataclasses
import errno
import types

from nova_isolation import qemu_catalogue
from nova_isolation.model import attestation_result
from nova_isolation.model import evidence as evidences
from nova_isolation.probes import program

UUID = 'f4f9ecaa-4b5a-4b56-8c5e-5a1e0c0a0001'

ENFORCE = '/sys/fs/selinux/enforce'
MLS = '/sys/fs/selinux/mls'
KERNEL = '/sys/fs/selinux/initial_contexts/kernel'
PROCESS = '/sys/fs/selinux/class/process/index'
ACCESS = '/sys/fs/selinux/access'
APPARMOR = '/sys/module/apparmor/parameters/enabled'
APPARMOR_MODE = '/sys/module/apparmor/parameters/mode'
QEMU_CONF = '/etc/libvirt/qemu.conf'
FIPS = '/proc/sys/crypto/fips_enabled'

#: Files of hosts, as the kernel has them.
SELINUX_MCS = types.MappingProxyType(
    {
        ENFORCE: '1',
        MLS: '1',
        KERNEL: 'system_u:system_r:kernel_t:s0\0',
        PROCESS: '2',
    }
)
SELINUX_MLS = types.MappingProxyType(
    {**SELINUX_MCS, KERNEL: 'system_u:system_r:kernel_t:s15:c0.c1023\0'}
)
SELINUX_PERMISSIVE = types.MappingProxyType({**SELINUX_MCS, ENFORCE: '0'})
APPARMOR_ON = types.MappingProxyType(
    {APPARMOR: 'Y\n', APPARMOR_MODE: 'enforce\n'}
)

HARDENING = frozenset(
    {'pie', 'nx', 'relro', 'bindnow', 'canary', 'fortify', 'cet'}
)
ALL_TYPES = frozenset(
    name for names in qemu_catalogue.CATALOGUE.values() for name in names
)


def capabilities(*models):
    """libvirt's capabilities of a host with these security models."""
    drivers = ''.join(
        f'<secmodel><model>{m}</model><doi>0</doi></secmodel>' for m in models
    )
    return f'<capabilities><host>{drivers}</host></capabilities>'


def domain_capabilities(domain='kvm', path='/usr/bin/qemu-system-x86_64'):
    """libvirt's capabilities of domains."""
    return (
        f'<domainCapabilities><path>{path}</path><domain>{domain}</domain>'
        '</domainCapabilities>'
    )


def emulator(hardening=HARDENING, types=frozenset(), sandbox=True, inode=7):
    """An emulator that was examined; by default the best that there is."""
    return program.Emulator(
        '/usr/bin/qemu-system-x86_64',
        program.Identity(1, inode, 3, 4, 5),
        frozenset(hardening),
        frozenset(types) | {'none-machine'},
        sandbox,
    )


#: All of it.
BEST = emulator()


#: The time of the evidence: seconds since the epoch.
NOW = 0.0


def evidence(
    state='good',
    found='',
    age=2.0,
    told=2.0,
    pcrs=('17=' + 'ab' * 32,),
    boot=True,
    runtime=True,
):
    """What a verifier says of a host; by default all that one could wish."""
    return evidences.Evidence(
        attestation_result.dumps(
            attestation_result.AttestationResult(
                state, found, pcrs, boot, runtime
            )
        ),
        None if age is None else NOW - age,
        None if told is None else NOW - told,
        120.0,
        5.0,
        agent='d432fbb3-d2f1-4a97-9ef7-75bd81c00000',
        verifier='https://verifier:8881',
        now=NOW,
    )


class Host:
    """A compute host. What is None, or no file, cannot be had."""

    def __init__(
        self,
        files=(),
        models=('dac',),
        domain='kvm',
        emulator=BEST,
        certifications=(),
        svirt_types=('svirt_t', 'svirt_tcg_t'),
        permissive=(),
        unknown=(),
        evidence=None,
    ):
        self.evidence = dict(evidence or {}).get
        self.files = dict(files)
        self._models = models
        self._domain = domain
        self._emulator = emulator
        self._permissive = permissive
        self._unknown = unknown
        self.options = types.SimpleNamespace(
            certifications=list(certifications),
            svirt_types=list(svirt_types),
            qemu_conf=QEMU_CONF,
        )

    def read(self, path):
        """The text, or the error that the test put there."""
        text = self.files.get(path)
        if text is None:
            raise FileNotFoundError(path)
        if isinstance(text, Exception):
            raise text
        return text

    def ask(self, path, question):
        """As security/selinux/selinuxfs.c answers."""
        if path != ACCESS or PROCESS not in self.files:
            raise FileNotFoundError(path)
        source, target, number = question.split()
        if (source, number) != (target, self.files[PROCESS]):
            raise AssertionError(question)
        type_ = source.split(':')[2]
        if type_ in self._unknown:
            raise OSError(errno.EINVAL, 'Invalid argument')
        flags = int(type_ in self._permissive)
        return f'6000165 ffffffff 0 ffffffff 14 {flags}'

    def capabilities(self):
        """As libvirt would write them."""
        if self._models is None:
            raise OSError('no libvirtd')
        return capabilities(*self._models)

    def domain_capabilities(self):
        """As libvirt would write them."""
        if self._domain is None:
            raise OSError('no libvirtd')
        return domain_capabilities(self._domain)

    def emulator(self):
        """The emulator."""
        if self._emulator is None:
            raise OSError('no emulator')
        return self._emulator


class BrokenHost:
    """A host of which nothing can be had, but for the options."""

    def __init__(self, error):
        self.options = Host(certifications=['LSPP']).options
        self.error = error

    def _fail(self, *_):
        raise self.error

    read = capabilities = domain_capabilities = emulator = _fail
    evidence = _fail


@dataclasses.dataclass
class Guest:
    """A started guest; by default a kvm guest that sVirt confines."""

    uuid: str = UUID
    name: str = 'instance-00000001'
    type: str = 'kvm'
    label: str = 'system_u:system_r:svirt_t:s0:c1,c2'
    enforced: bool = True
    process: str | None = None
    others: dict = dataclasses.field(default_factory=dict)
    mode: int = 2
    runs: program.Identity = dataclasses.field(
        default_factory=lambda: emulator().identity
    )

    def domain_xml(self):
        """See base.Guest."""
        return f"<domain type='{self.type}'><uuid>{self.uuid}</uuid></domain>"

    def security_label(self):
        """See base.Guest."""
        return self.label, self.enforced

    def process_label(self):
        """See base.Guest."""
        return self.label if self.process is None else self.process

    def other_process_labels(self):
        """See base.Guest."""
        return self.others

    def seccomp(self):
        """See base.Guest."""
        return self.mode

    def executable(self):
        """See base.Guest."""
        return self.runs


class BrokenGuest:
    """A guest that cannot be examined."""

    uuid = UUID
    name = 'instance-00000001'

    def __init__(self, error):
        self.error = error

    def _fail(self):
        raise self.error

    domain_xml = security_label = process_label = _fail
    other_process_labels = seccomp = executable = _fail
