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

import errno
import types

from nova_isolation.mechanisms.attested import attestation_result
from nova_isolation.mechanisms.qemu import catalogue
from nova_isolation.model import evidence as evidences
from nova_isolation.probes import program
from nova_isolation.testing import fakes

UUID = fakes.UUID

ENFORCE = '/sys/fs/selinux/enforce'
MLS = '/sys/fs/selinux/mls'
KERNEL = '/sys/fs/selinux/initial_contexts/kernel'
PROCESS = '/sys/fs/selinux/class/process/index'
ACCESS = '/sys/fs/selinux/access'
CONTEXT = '/sys/fs/selinux/context'
APPARMOR = '/sys/module/apparmor/parameters/enabled'
APPARMOR_MODE = '/sys/module/apparmor/parameters/mode'
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
    name for row in catalogue.CATALOGUE.values() for name in row.types
)


#: The labels of guests in libvirt's capabilities: type of domains -> type.
TYPES = types.MappingProxyType({'kvm': 'svirt_t', 'qemu': 'svirt_tcg_t'})


def capabilities(*models, types=TYPES):
    """libvirt's capabilities of a host with these security models."""
    labels = ''.join(
        f"<baselabel type='{domain}'>system_u:system_r:{name}:s0</baselabel>"
        for domain, name in types.items()
    )
    drivers = ''.join(
        f'<secmodel><model>{m}</model><doi>0</doi>'
        f'{labels if m == "selinux" else ""}</secmodel>'
        for m in models
    )
    return f'<capabilities><host>{drivers}</host></capabilities>'


def domain_capabilities(domain='kvm', path='/usr/bin/qemu-system-x86_64'):
    """libvirt's capabilities of domains."""
    return (
        f'<domainCapabilities><path>{path}</path><domain>{domain}</domain>'
        '<machine>pc-i440fx-7.2</machine><arch>x86_64</arch>'
        '</domainCapabilities>'
    )


def emulator(hardening=HARDENING, types=frozenset(), sandbox=True, inode=7):
    """An emulator that was examined; by default the best that there is."""
    return program.Emulator(
        '/usr/bin/qemu-system-x86_64',
        '/usr/bin/qemu-system-x86_64',
        program.Identity(1, inode, 3, 4, 5),
        frozenset(hardening),
        frozenset(types) | {'none-machine'},
        sandbox,
        fakes.MODULES,
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


class Host(fakes.FakeHost):
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
        arguments=fakes.ARGUMENTS,
        types=TYPES,
        aliases=None,
        xen=None,
        xsm=(),
    ):
        super().__init__(
            dict(files),
            options={
                'certification': {'declared': list(certifications)},
                'svirt': {'types': list(svirt_types)},
                'xsm': dict(xsm),
            },
            capabilities=(
                None if models is None else capabilities(*models, types=types)
            ),
            domain_capabilities=(
                None if domain is None else domain_capabilities(domain)
            ),
            emulator=emulator,
            emulator_arguments=arguments,
            evidence=evidence,
            xen=xen,
        )
        self._permissive = permissive
        self._unknown = unknown
        self._aliases = aliases

    def ask(self, path, question):
        """As security/selinux/selinuxfs.c answers."""
        if path == CONTEXT and self._aliases is not None:
            user, role, type_, level = question.split(':', 3)
            shown = self._aliases.get(type_, type_)
            return f'{user}:{role}:{shown}:{level}\0'
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


Guest = fakes.FakeGuest
BrokenGuest = fakes.BrokenGuest


class BrokenHost(fakes.BrokenHost):
    """A host that declares a certification which it cannot measure."""

    def __init__(self, error):
        super().__init__(error, {'certification': {'declared': ['LSPP']}})
