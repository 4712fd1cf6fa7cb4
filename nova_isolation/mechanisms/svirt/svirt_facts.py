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

"""The facts about libvirt's confinement, and how a host measures them."""

from collections.abc import Iterable
import contextlib
import dataclasses
import logging

from nova_isolation.mechanisms import sources
from nova_isolation.mechanisms.svirt import definition
from nova_isolation.mechanisms.svirt import security_label
from nova_isolation.model import facts
from nova_isolation.model import printable
from nova_isolation.model import reasons
from nova_isolation.model import sight
from nova_isolation.probes import apparmor
from nova_isolation.probes import libvirt_xml
from nova_isolation.probes import selinux

LOG = logging.getLogger(__name__)

ENFORCING = 'enforcing'


@dataclasses.dataclass(frozen=True)
class SvirtFacts:
    """The facts about libvirt's confinement.

    :ivar models: the model of libvirt's first driver; empty where that is
        none of ``definition.MODELS``. libvirt reports the label of its first
        driver alone, so no other model can be verified.
    :ivar selinux: enforcing, permissive, disabled, unmounted; None: unknown
    :ivar policy: mls, mcs, plain; None: unknown or no SELinux
    :ivar apparmor: enforcing, complain, disabled; None: unknown
    :ivar types: the SELinux types that the host allows for guests and that
        the kernel enforces; None: unknown
    :ivar default: the SELinux type that libvirt gives to a guest where the
        XML names no type; None: unknown or no SELinux
    """

    models: tuple[str, ...]
    selinux: str | None
    policy: str | None
    apparmor: str | None
    types: tuple[str, ...] | None
    default: str | None

    def __post_init__(self) -> None:
        if len(self.models) > 1:
            raise facts.FactsError(
                reasons.FACTS_MALFORMED, 'several models that confine guests'
            )

    @property
    def model(self) -> str | None:
        """The model that confines guests; None: no model of ours."""
        return self.models[0] if self.models else None

    @property
    def mode(self) -> str | None:
        """The state of that model's security module; None: unknown."""
        return self.selinux if self.model == 'selinux' else self.apparmor

    @property
    def enforced(self) -> str | None:
        """The model that confines guests, if it is enforced."""
        return self.model if self.mode == ENFORCING else None

    @property
    def is_default_proven(self) -> bool:
        """Whether a guest for which the flavor names no type can be proven."""
        return self.enforced == 'apparmor' or (
            self.enforced == 'selinux' and self.default in (self.types or ())
        )


def measure(
    host: sources.Host, allowed: Iterable[Iterable[str]]
) -> SvirtFacts:
    """Measure libvirt's drivers and the kernel's security modules.

    :param host: the host
    :param allowed: the SELinux types that the host allows for guests
    :raises OSError, ValueError: the host cannot be measured
    """
    drivers = libvirt_xml.security_models(host.capabilities())
    # libvirt adds dac by itself, after the drivers that it is told to use.
    first = next((m for m in drivers if m != 'dac'), None)
    models = (first,) if first in definition.MODELS else ()
    mode = _state(selinux.mode, host, first == 'selinux')
    on = mode in (ENFORCING, 'permissive')
    has_types = on and 'selinux' in models
    return SvirtFacts(
        models,
        mode,
        _state(selinux.policy, host, has_types) if on else None,
        _state(apparmor.guest_mode, host, first == 'apparmor'),
        _enforced(allowed, host) if has_types else (),
        _default(host) if has_types else None,
    )


def _enforced(
    allowed: Iterable[Iterable[str]], host: sources.Host
) -> tuple[str, ...] | None:
    """Return the allowed types on which the kernel enforces the policy.

    :returns: None where the kernel does not answer about one of them
    """
    found = []
    for type_ in sorted({name for names in allowed for name in names}):
        try:
            enforced = selinux.enforced(
                security_label.base(type_), host.read, host.ask
            )
        except (OSError, ValueError) as error:
            LOG.warning(
                'Mechanism svirt cannot read whether the kernel enforces '
                'SELinux type %(type)s; flavors that need SELinux are refused '
                'on this host: %(error)s',
                {'type': type_, 'error': printable.one_line(error)},
            )
            return None
        if not enforced:
            continue
        shown = _shown(security_label.base(type_), host)
        if shown == type_:
            found.append(type_)
        else:
            LOG.warning(
                'SELinux type %(type)s of [isolation_svirt] types is another '
                'name of %(shown)s, so no guest is ever seen to have it. Name '
                '%(shown)s instead.',
                {'type': type_, 'shown': printable.one_line(shown)},
            )
    return tuple(found)


def _shown(context: str, host: sources.Host) -> str:
    """Return the type of a context as the kernel shows it for a process.

    :raises IndexError: the context has no type
    """
    # Where the policy does not let nova-compute ask this, the type is taken as
    # it is; a guest of another type fails its verification.
    with contextlib.suppress(OSError):
        context = selinux.canonical(context, host.ask)
    return context.split(':')[2]


def _state(
    probe: selinux.Probe, host: sources.Host, confines: bool
) -> str | None:
    """Return the result of a probe; None where the probe fails.

    An unknown state of one security module does not affect the others.

    :param confines: whether it is that module which confines guests
    :raises nova_isolation.model.sight.Unseen: it is, and the host cannot see
        its state for a cause that has a reason of its own
    """
    try:
        return probe(host.read)
    except (OSError, ValueError) as error:
        if confines and isinstance(error, sight.Unseen):
            raise
        LOG.warning(
            'Mechanism svirt cannot read the state of a security module: %s',
            printable.one_line(error),
        )
        return None


def _default(host: sources.Host) -> str | None:
    """Return the SELinux type of guests whose XML names no type."""
    try:
        label = libvirt_xml.base_label(
            host.capabilities(),
            'selinux',
            libvirt_xml.domain_type(host.domain_capabilities()),
        )
        return _shown(label, host)
    except (OSError, ValueError, IndexError) as error:
        LOG.warning(
            'Mechanism svirt cannot find out which SELinux type libvirt gives '
            'to guests; flavors with isolation:svirt and without '
            'isolation:svirt_type are refused on this host: %s',
            printable.one_line(error),
        )
        return None
