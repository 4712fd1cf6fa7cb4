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

"""The labels of Xen's FLASK that a flavor may name.

A flavor names a whole label, ``user:role:type``, or only the type of a label
with the user and the role that Xen's policy gives to guests.

The libvirt hook reads this module, so it imports nothing that takes long.
"""

#: The user and the role of guests (tools/flask/policy in Xen's source).
_GUESTS = 'system_u:system_r:'

#: The label that Xen gives to a guest for which none is asked
#: (SECINITSID_DOMU).
DEFAULT = 'domU_t'

#: Types of the hypervisor itself, of its memory, of dom0 and of device models
#: (initial_sids and the modules in Xen's source). Xen takes some of them for
#: a guest.
_OWN = frozenset(
    {
        'dom0_t',
        'dm_dom_t',
        'domio_t',
        'domxen_t',
        'security_t',
        'unlabeled_t',
        'xen_t',
        'xenboot_t',
        'xenstore_t',
    }
)

#: Types that the policy derives from that of a domain, for what belongs to it.
_DERIVED = ('_self', '_target', '_channel')

#: The role of objects, which no domain should have.
_OBJECTS = 'object_r'


def full(text: str) -> str:
    """Return the whole label of a type; a whole label as it is."""
    return text if ':' in text else f'{_GUESTS}{text}'


def short(label: str) -> str:
    """Return a label as a flavor would name it."""
    return label.removeprefix(_GUESTS)


def is_forbidden(text: str) -> bool:
    """Return whether no guest should have a label, whoever allows it.

    :param text: a label or a type
    """
    parts = full(text).split(':')
    return (
        len(parts) != 3
        or parts[1] == _OBJECTS
        or parts[2] in _OWN
        or parts[2].endswith(_DERIVED)
    )
