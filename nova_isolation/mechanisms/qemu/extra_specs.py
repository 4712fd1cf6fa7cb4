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

"""The extra specs of the mechanism qemu."""

from nova_isolation.mechanisms.qemu import groups
from nova_isolation.model import vocabulary

#: The mechanism asks nothing of the XML of a guest: there is no definition.py.
ANY_XML = True

#: Only for these hypervisors libvirt starts QEMU with its seccomp filter.
_KVM = (('isolation:hypervisor', ('kvm', 'qemu')),)

ROWS = (
    vocabulary.ExtraSpec(
        'isolation:qemu_hardening',
        values=('pie', 'nx', 'relro', 'bindnow', 'canary', 'fortify', 'cet'),
        several=True,
        condition=(
            'the emulator was built with each of these hardenings (relro '
            'without bindnow is partial RELRO: the part of the global offset '
            'table that holds functions of libraries stays writable)'
        ),
        example='pie,nx,relro,bindnow',
    ),
    vocabulary.ExtraSpec(
        'isolation:qemu_sandbox',
        values=('true',),
        compatible=_KVM,
        condition='QEMU runs under its own seccomp filter, as libvirt asks',
        example='true',
    ),
    vocabulary.ExtraSpec(
        'isolation:qemu_absent',
        values=groups.WORDS,
        several=True,
        condition=(
            'the emulator was built without any of these components and of '
            'the components of these groups (a smaller attack surface)'
        ),
        example='floppy,cirrus,usb',
    ),
)
