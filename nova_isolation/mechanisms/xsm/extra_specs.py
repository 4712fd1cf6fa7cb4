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

"""The extra specs of the mechanism xsm."""

from nova_isolation.model import vocabulary

#: Only this hypervisor has labels of FLASK.
_XEN = (('isolation:hypervisor', ('xen',)),)

_WORD = '[A-Za-z_][A-Za-z0-9_]*'

#: A type, or a whole label of FLASK: user, role and type.
_LABEL = f'(?:{_WORD}:{_WORD}:)?{_WORD}'

ROWS = (
    vocabulary.ExtraSpec(
        'isolation:xsm_label',
        pattern=_LABEL,
        compatible=_XEN,
        condition=(
            'XSM enforces, its policy knows this label, dom0 may create a '
            'guest with it, and the running guest has it'
        ),
        example='isolated_domU_t',
    ),
    vocabulary.ExtraSpec(
        'isolation:xsm_isolated',
        values=('true',),
        compatible=_XEN,
        condition=(
            "XSM denies guests of the guest's label event channels and grants "
            'among each other and with all other guests'
        ),
        example='true',
    ),
    vocabulary.ExtraSpec(
        'isolation:xsm_device_model',
        pattern=_LABEL,
        compatible=_XEN,
        condition=(
            'no process of dom0 works for the guest as its device model or '
            'behind its disks (``none``); with a label: its device model runs '
            'in a stub domain with this label, which no host offers yet'
        ),
        example='none',
    ),
    vocabulary.ExtraSpec(
        'isolation:xsm_backend',
        pattern=_LABEL,
        compatible=_XEN,
        condition=(
            "the guest's disks and ports are served by dom0 which SELinux "
            'confines (``dom0``); with a label: by a driver domain with this '
            'label, which no host offers yet'
        ),
        example='dom0',
    ),
    vocabulary.ExtraSpec(
        'isolation:xsm_dom0',
        values=('selinux',),
        compatible=_XEN,
        condition=(
            "SELinux in dom0's kernel confines xenstore, the consoles, "
            'libvirt, nova-compute and every device model'
        ),
        example='selinux',
    ),
)
