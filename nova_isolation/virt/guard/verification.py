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

"""Examining a started guest: is it as asked, by what can be read back?"""

from collections.abc import Mapping
import dataclasses
import logging

from nova_isolation.decision import host_facts
from nova_isolation.host import measurement
from nova_isolation.mechanisms import base
from nova_isolation.mechanisms import registry
from nova_isolation.model import facts
from nova_isolation.model import reasons
from nova_isolation.virt.guard import guest_request

LOG = logging.getLogger(__name__)

_FRESH = facts.Freshness()

Unmet = tuple[reasons.Unmet, ...]


@dataclasses.dataclass(frozen=True)
class Verification:
    """What came of it.

    :ivar unmet: what is not as asked, or could not be found out; empty: the
        guest is as asked
    :ivar proofs: what was read back; for every requirement at least one,
        where nothing is unmet
    :ivar failures: name of a mechanism that failed, and how
    """

    unmet: Unmet = ()
    proofs: tuple[base.Proof, ...] = ()
    failures: tuple[tuple[str, BaseException], ...] = ()


def decide(
    request: guest_request.GuestRequest,
    measured: measurement.Measurement,
    mechanisms: registry.Mechanisms,
) -> Unmet:
    """What of an order this host does not offer, by facts just measured."""
    return host_facts.decide(
        request.wanted,
        measured.document,
        age=0.0,
        freshness=_FRESH,
        mechanisms=mechanisms,
        evidence=measured.evidence,
    ).unmet


def verify(
    guest: base.Guest,
    request: guest_request.GuestRequest,
    measured: measurement.Measurement,
    host: base.Host,
    mechanisms: registry.Mechanisms,
) -> Verification:
    """Examine a guest. Tells nobody, changes nothing, raises nothing.

    :param guest: the guest
    :param request: what is asked for it
    :param measured: the host, measured after the guest was started: the
        binary, the policy or a mode may have changed since the decision
    :param host: the host as the mechanisms ask it
    :param mechanisms: the mechanisms of this process
    """
    unmet = decide(request, measured, mechanisms)
    if unmet:
        return Verification(unmet)
    found: list[base.Proof | reasons.Unmet] = []
    failures = []
    for name in owners(request):
        try:
            found += _ask(
                name, guest, request, measured.sections, host, mechanisms
            )
        except base.FAILURES as error:
            # libvirt, the kernel or somebody's mechanism: whatever cannot
            # be examined is not proven.
            found += _failed(request, name, reasons.VERIFY_FAILED, error)
            failures.append((name, error))
    proofs = tuple(item for item in found if isinstance(item, base.Proof))
    unmet = tuple(item for item in found if isinstance(item, reasons.Unmet))
    # Silence of a mechanism is no proof.
    told = {proof.key for proof in proofs} | {item.key for item in unmet}
    unmet += tuple(
        requirement.unmet(reasons.VERIFY_FAILED, 'nothing proves it')
        for requirement in request.wanted.items
        if requirement.key not in told
    )
    return Verification(unmet, proofs, tuple(failures))


def _ask(
    name: str,
    guest: base.Guest,
    request: guest_request.GuestRequest,
    sections: Mapping[str, object],
    host: base.Host,
    mechanisms: registry.Mechanisms,
) -> list[base.Proof | reasons.Unmet]:
    """What one mechanism finds; it may raise anything."""
    found = mechanisms.loaded[name].verify(
        guest, request.wanted, sections[name], host
    )
    # A mechanism proves its own requirements, not those of others.
    own = {requirement.key for requirement in request.wanted.of(name)}
    return [
        item
        for item in found
        if not isinstance(item, base.Proof) or item.key in own
    ]


def owners(request: guest_request.GuestRequest) -> list[str]:
    """The mechanisms that are asked for."""
    return sorted({item.mechanism for item in request.wanted.items})


def all_unmet(
    request: guest_request.GuestRequest,
    mechanism: str,
    reason: reasons.Reason,
    error: BaseException,
) -> Unmet:
    """All that is asked of a mechanism, unmet because it failed; logged."""
    log_failure(request.uuid, mechanism, error)
    return _failed(request, mechanism, reason, error)


def log_failure(uuid: str, mechanism: str, error: BaseException) -> None:
    """Log how a mechanism failed on an instance."""
    LOG.error(
        'The isolation mechanism %s failed on instance %s',
        mechanism,
        uuid,
        exc_info=error,
    )


def _failed(
    request: guest_request.GuestRequest,
    mechanism: str,
    reason: reasons.Reason,
    error: BaseException,
) -> Unmet:
    return tuple(
        requirement.unmet(reason, f'{type(error).__name__}: {error}')
        for requirement in request.wanted.of(mechanism)
    )
