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

"""The extra specs of the ``isolation:`` namespace.

:data:`EXTRA_SPECS` is the one table from which the parser, the validators of
Nova's API and the documentation are made. Mechanisms of other packages add
rows of the same type (:class:`Vocabulary`).
"""

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import re
import types

from nova_isolation import qemu_catalogue

#: Every extra spec of this project begins with it.
NAMESPACE = 'isolation:'

#: Keys that begin so belong to features to come. They are refused, so that
#: a flavor never promises what nobody enforces.
RESERVED = ('isolation:xsm',)

#: Nova's own limit for a value (nova/api/openstack/compute/schemas).
MAX_VALUE = 255


@dataclasses.dataclass(frozen=True)
class ExtraSpec:
    """One row of the vocabulary.

    :ivar key: the extra spec, with its namespace
    :ivar mechanism: the name of the mechanism that owns it
    :ivar values: the words that are allowed; empty: see ``pattern``
    :ivar pattern: a regular expression for one word, where ``values`` is
        empty
    :ivar several: whether the value is a comma list of words, or one word
    :ivar condition: completes "the guest runs only where ..."
    :ivar example: a valid value
    :ivar requires: (key, value) pairs that must stand beside it
    :ivar hypervisors: the hypervisors on which the spec has a meaning; empty
        for all
    """

    key: str
    mechanism: str
    condition: str
    example: str
    values: tuple[str, ...] = ()
    pattern: str = ''
    several: bool = False
    requires: tuple[tuple[str, str], ...] = ()
    hypervisors: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """The regular expression of one word of the value."""
        if self.values:
            return '(?:' + '|'.join(map(re.escape, self.values)) + ')'
        return f'(?:{self.pattern})'

    @property
    def expression(self) -> str:
        """The regular expression of a whole value, for ``fullmatch``."""
        return f'{self.word}(?:,{self.word})*' if self.several else self.word

    @property
    def allowed(self) -> str:
        """The values in words, for a message."""
        words = ', '.join(self.values) if self.values else f'/{self.pattern}/'
        if self.several:
            return f'a comma list of: {words}'
        return words if len(self.values) == 1 else f'one of: {words}'

    def parse(self, text: object) -> tuple[str, ...]:
        """Take a value apart.

        :param text: the value as Nova holds it
        :returns: its words, sorted, each once
        :raises ValueError: it is no text, empty, too long or not allowed;
            the message names what would be
        """
        if (
            not isinstance(text, str)
            or len(text) > MAX_VALUE
            or not re.fullmatch(self.expression, text)
        ):
            raise ValueError(self.allowed)
        return tuple(sorted(set(text.split(','))))


_KVM = ('kvm', 'qemu')
_ATTESTED = (('isolation:attested', 'true'),)

#: The extra specs of this distribution.
EXTRA_SPECS = (
    ExtraSpec(
        'isolation:hypervisor',
        mechanism='hypervisor',
        values=('kvm', 'qemu', 'xen'),
        several=True,
        condition="the host's hypervisor is one of them",
        example='kvm',
    ),
    ExtraSpec(
        'isolation:certification',
        mechanism='certification',
        pattern='[A-Z0-9_]+',
        several=True,
        condition=(
            'the host declares each of them, and what each presupposes is '
            'measured to be so'
        ),
        example='LSPP',
    ),
    ExtraSpec(
        'isolation:svirt',
        mechanism='svirt',
        values=('selinux', 'apparmor', 'any'),
        hypervisors=_KVM,
        condition='libvirt confines guests with that model, enforcing',
        example='selinux',
    ),
    ExtraSpec(
        'isolation:svirt_type',
        mechanism='svirt',
        pattern='[A-Za-z_][A-Za-z0-9_]*',
        requires=(('isolation:svirt', 'selinux'),),
        hypervisors=_KVM,
        condition=(
            'the SELinux type is one that the host gives to guests; the '
            "guest's process then has it"
        ),
        example='svirt_t',
    ),
    ExtraSpec(
        'isolation:qemu_hardening',
        mechanism='qemu',
        values=('pie', 'nx', 'relro', 'bindnow', 'canary', 'fortify', 'cet'),
        several=True,
        hypervisors=_KVM,
        condition='the emulator was built with each of them',
        example='pie,nx,relro',
    ),
    ExtraSpec(
        'isolation:qemu_sandbox',
        mechanism='qemu',
        values=('true',),
        hypervisors=_KVM,
        condition='QEMU runs under its seccomp filter',
        example='true',
    ),
    ExtraSpec(
        'isolation:qemu_absent',
        mechanism='qemu',
        values=tuple(qemu_catalogue.CATALOGUE),
        several=True,
        hypervisors=_KVM,
        condition=(
            'the emulator was built without each of them (a smaller attack '
            'surface)'
        ),
        example='floppy,cirrus',
    ),
    ExtraSpec(
        'isolation:attested',
        mechanism='attested',
        values=('true',),
        condition="a verifier's last good quote of the host is fresh",
        example='true',
    ),
    ExtraSpec(
        'isolation:attested_pcrs',
        mechanism='attested',
        pattern='[0-9]|1[0-9]|2[0-3]',
        several=True,
        requires=_ATTESTED,
        condition=(
            "the verifier's policy for the host judges these PCRs, none of "
            'them by the value that it has before any launch'
        ),
        example='17,18',
    ),
    ExtraSpec(
        'isolation:attested_max_age',
        mechanism='attested',
        pattern='[1-9][0-9]{0,7}',
        requires=_ATTESTED,
        condition=(
            'that quote is no older than so many seconds (nor than '
            '[isolation_attestation] max_age)'
        ),
        example='60',
    ),
    ExtraSpec(
        'isolation:attested_boot',
        mechanism='attested',
        values=('true',),
        requires=_ATTESTED,
        condition=(
            'measured boot, with a reference state, is part of what the '
            'verifier judges'
        ),
        example='true',
    ),
    ExtraSpec(
        'isolation:attested_runtime',
        mechanism='attested',
        values=('true',),
        requires=_ATTESTED,
        condition=(
            'run-time integrity (IMA) is part of what the verifier judges'
        ),
        example='true',
    ),
)


def owned_by(mechanism: str) -> tuple[ExtraSpec, ...]:
    """The rows of :data:`EXTRA_SPECS` that a mechanism owns."""
    return tuple(s for s in EXTRA_SPECS if s.mechanism == mechanism)


class Vocabulary:
    """The extra specs that are known, of this and of other packages."""

    def __init__(self, more: Iterable[ExtraSpec] = ()) -> None:
        """:param more: rows beside those of :data:`EXTRA_SPECS`

        :raises ValueError: a row is outside the namespace, is reserved, is
            there twice, or does not take its own example
        """
        rows: dict[str, ExtraSpec] = {s.key: s for s in EXTRA_SPECS}
        for spec in more:
            if not spec.key.startswith(NAMESPACE) or spec.key == NAMESPACE:
                raise ValueError(f'{spec.key!r} is not in {NAMESPACE!r}')
            if is_reserved(spec.key):
                raise ValueError(f'{spec.key!r} is reserved')
            if spec.key in rows:
                raise ValueError(f'{spec.key!r} has an owner already')
            # Finds a regular expression that is none, before a flavor does.
            spec.parse(spec.example)
            rows[spec.key] = spec
        self.rows: Mapping[str, ExtraSpec] = types.MappingProxyType(rows)


def is_reserved(key: str) -> bool:
    """Whether a key belongs to a feature to come."""
    return key.startswith(RESERVED)


def is_ours(key: str) -> bool:
    """Whether a key is meant for this project.

    Other capitals and stray blanks count: what an admin plainly meant for
    us is refused as unknown, not passed over.
    """
    return key.strip().lower().startswith(NAMESPACE)
