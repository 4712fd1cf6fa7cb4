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

"""Flavors and hosts for the properties."""

import copy

from hypothesis import strategies as st

from nova_isolation.mechanisms.certification import mechanism
from nova_isolation.mechanisms.qemu import catalogue
from nova_isolation.mechanisms.qemu import groups

COMPONENTS = tuple(catalogue.CATALOGUE)
HARDENING = ('bindnow', 'canary', 'cet', 'fortify', 'nx', 'pie', 'relro')
CERTIFICATIONS = (*mechanism.CERTIFICATIONS, 'EAL4')
PRECONDITIONS = tuple(mechanism.PRECONDITIONS)
TYPES = ('svirt_t', 'svirt_tcg_t', 'own_t')

#: The list-valued extra specs of which every word must be met.
ALL_OF = (
    'isolation:certification',
    'isolation:qemu_hardening',
    'isolation:qemu_absent',
)


def _words(words, at_most=3):
    return st.lists(
        st.sampled_from(words), min_size=1, max_size=at_most, unique=True
    ).map(','.join)


def _consistent(specs):
    """Remove the contradictions that random choices make."""
    if 'isolation:svirt_type' in specs:
        specs['isolation:svirt'] = 'selinux'
    if len(specs) > 1 and specs.get('isolation:hypervisor') == 'xen':
        specs['isolation:hypervisor'] = 'kvm,xen'
    return specs


#: Extra specs without a problem; often few, so that hosts meet them.
extra_specs = st.fixed_dictionaries(
    {},
    optional={
        'isolation:hypervisor': _words(('kvm', 'qemu', 'xen')),
        'isolation:certification': _words(CERTIFICATIONS),
        'isolation:svirt': st.sampled_from(('selinux', 'apparmor', 'any')),
        'isolation:svirt_type': st.sampled_from(TYPES),
        'isolation:qemu_hardening': _words(HARDENING),
        'isolation:qemu_sandbox': st.just('true'),
        'isolation:qemu_absent': _words(groups.WORDS),
    },
).map(_consistent)


def _some(words):
    return st.lists(st.sampled_from(words), unique=True)


#: A host that meets nearly all that :data:`extra_specs` can ask.
STRONG = {
    'hypervisor': {'type': 'kvm'},
    'certification': {n: list(PRECONDITIONS) for n in CERTIFICATIONS},
    'svirt': {
        'models': ['selinux'],
        'selinux': 'enforcing',
        'policy': 'mls',
        'apparmor': 'enforcing',
        'types': list(TYPES),
        'default': TYPES[0],
    },
    'qemu': {
        'hardening': list(HARDENING),
        'sandbox': True,
        'known': len(COMPONENTS),
        'present': '0',
    },
}

_MODES = st.sampled_from(
    ('enforcing', 'permissive', 'disabled', 'unmounted', None)
)

_ANY = st.fixed_dictionaries(
    {},
    optional={
        'hypervisor': st.none()
        | st.fixed_dictionaries(
            {'type': st.sampled_from(('kvm', 'qemu', 'xen', 'lxc'))}
        ),
        'certification': st.none()
        | st.dictionaries(
            st.sampled_from(CERTIFICATIONS), _some(PRECONDITIONS)
        ),
        'svirt': st.none()
        | st.fixed_dictionaries(
            {
                'models': st.lists(
                    st.sampled_from(('selinux', 'apparmor')), max_size=1
                ),
                'selinux': _MODES,
                'policy': st.sampled_from(('mls', 'mcs', None)),
                'apparmor': _MODES,
                'types': st.none() | _some(TYPES),
                'default': st.none() | st.sampled_from((*TYPES, 'other_t')),
            }
        ),
        'qemu': st.none()
        | st.fixed_dictionaries(
            {
                'hardening': _some(HARDENING),
                'sandbox': st.sampled_from((True, False, None)),
                'known': st.integers(0, len(COMPONENTS) + 2),
                'present': st.integers(0, 1 << len(COMPONENTS)).map(
                    '{:x}'.format
                ),
            }
        ),
    },
)


def _mixed(pair):
    """The strong host with some sections of another."""
    sections, taken = pair
    result = copy.deepcopy(STRONG)
    result.update({n: s for n, s in sections.items() if n in taken})
    return result


#: The sections of a host's facts, well formed.
sections = _ANY | st.tuples(_ANY, _some(tuple(STRONG))).map(_mixed)


@st.composite
def forget(draw, known):
    """Sections that say less: one thing that was known no longer is.

    A component of the emulator that is marked present is knowledge, and so
    is one that is not: fewer are known, never others.
    """
    result = copy.deepcopy(known)
    names = sorted(result)
    if not names:
        return result
    name = draw(st.sampled_from(names))
    section = result[name]
    way = draw(st.sampled_from(('section', 'null', 'field', 'none', 'inner')))
    if way == 'section' or (section is None and way != 'null'):
        del result[name]
    elif way == 'null' or not section:
        result[name] = None
    else:
        field = draw(st.sampled_from(sorted(section)))
        value = section[field]
        if way == 'field':
            del section[field]
        elif way == 'none':
            section[field] = None
        elif isinstance(value, list) and value:
            del value[draw(st.integers(0, len(value) - 1))]
        elif field == 'known' and value:
            section[field] = draw(st.integers(0, value - 1))
    return result


#: Anything that JSON can hold.
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=12,
)
