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

"""Verify a started guest by what can be read back from it."""

from collections.abc import Mapping
import dataclasses
import functools

from nova_isolation.decision import host_facts
from nova_isolation.evidence import statement
from nova_isolation.host import bounded_calls
from nova_isolation.host import measurement
from nova_isolation.mechanisms import base
from nova_isolation.mechanisms import registry
from nova_isolation.mechanisms import sources
from nova_isolation.model import facts
from nova_isolation.model import reasons
from nova_isolation.model import sight
from nova_isolation.virt.guard import guest_request

_FRESH = facts.Freshness()

Unmet = tuple[reasons.Unmet, ...]


@dataclasses.dataclass(frozen=True)
class Verification:
    """What a verification has found.

    :ivar unmet: the requirements that the guest does not meet, or that could
        not be verified; empty: the guest meets its requirements
    :ivar proofs: what was read back; for every requirement at least one,
        where nothing is unmet
    :ivar failures: name of a mechanism that failed, and its exception
    :ivar subject: see :class:`nova_isolation.virt.guard.outcome.Outcome`
    """

    unmet: Unmet = ()
    proofs: tuple[base.Proof, ...] = ()
    failures: tuple[tuple[str, BaseException], ...] = ()
    subject: statement.Subject | None = None


def decide(
    request: guest_request.GuestRequest,
    measured: measurement.Measurement,
    mechanisms: registry.Mechanisms,
) -> Unmet:
    """The requirements that this host does not meet, by facts measured now.

    :param request: what is asked for the guest
    :param measured: the facts
    :param mechanisms: the mechanisms of this process
    """
    known = measured.decided.get(request.wanted)
    if known is not None:
        return known
    found = host_facts.decide(
        request.wanted,
        measured.document,
        age=0.0,
        freshness=_FRESH,
        mechanisms=mechanisms,
        evidence=measured.evidence,
    )
    # A mechanism that has failed may succeed the next time.
    if reasons.MECHANISM_FAILED.code not in found.codes:
        measured.decided[request.wanted] = found.unmet
    return found.unmet


def verify(
    guest: sources.Guest,
    request: guest_request.GuestRequest,
    measured: measurement.Measurement,
    host: sources.Host,
    mechanisms: registry.Mechanisms,
    calls: bounded_calls.BoundedCalls,
) -> Verification:
    """Verify a guest. Reports nothing, changes nothing, raises nothing.

    :param guest: the guest
    :param request: what is asked for it
    :param measured: the host, measured after the guest was started: the
        binary, the policy or a mode may have changed since the decision
    :param host: the host as the mechanisms ask it
    :param mechanisms: the mechanisms of this process
    :param calls: limits the time of each mechanism
    """
    unmet = decide(request, measured, mechanisms)
    if unmet:
        return Verification(unmet)
    found: list[base.Proof | reasons.Unmet] = []
    failures = []
    for name in owners(request):
        try:
            found += calls.call(
                (name, request.uuid),
                functools.partial(
                    _ask,
                    name,
                    guest,
                    request,
                    measured.sections,
                    host,
                    mechanisms,
                ),
            )
        except base.FAILURES as error:
            # libvirt, the kernel or the mechanism failed. A requirement that
            # cannot be verified is not met.
            reason = (
                # The host has become blind since it was measured.
                error.reason
                if isinstance(error, sight.Unseen)
                else reasons.VERIFY_FAILED
            )
            found += all_unmet(request, name, reason, error)
            failures.append((name, error))
    proofs = tuple(item for item in found if isinstance(item, base.Proof))
    unmet = tuple(item for item in found if isinstance(item, reasons.Unmet))
    # A requirement about which its mechanism has reported nothing is not
    # proven.
    reported = {proof.key for proof in proofs} | {item.key for item in unmet}
    unmet += tuple(
        requirement.unmet(reasons.VERIFY_FAILED, 'nothing proves it')
        for requirement in request.wanted.items
        if requirement.key not in reported
    )
    return Verification(unmet, proofs, tuple(failures))


def failed(
    request: guest_request.GuestRequest, error: BaseException
) -> Verification:
    """A verification that could not be made: nothing is proven.

    :param request: what is asked for the guest
    :param error: what went wrong
    """
    names = owners(request)
    return Verification(
        tuple(
            item
            for name in names
            for item in all_unmet(request, name, reasons.VERIFY_FAILED, error)
        ),
        failures=tuple((name, error) for name in names),
    )


def _ask(
    name: str,
    guest: sources.Guest,
    request: guest_request.GuestRequest,
    sections: Mapping[str, object],
    host: sources.Host,
    mechanisms: registry.Mechanisms,
) -> list[base.Proof | reasons.Unmet]:
    """What one mechanism finds. The mechanism may raise anything."""
    found = mechanisms.loaded[name].verify(
        guest, request.wanted, sections[name], host
    )
    # A mechanism can prove its own requirements only.
    own = {requirement.key for requirement in request.wanted.of(name)}
    return [
        item
        for item in found
        if not isinstance(item, base.Proof) or item.key in own
    ]


def owners(request: guest_request.GuestRequest) -> list[str]:
    """The names of the mechanisms that a request asks for."""
    return sorted({item.mechanism for item in request.wanted.items})


def all_unmet(
    request: guest_request.GuestRequest,
    mechanism: str,
    reason: reasons.Reason,
    error: BaseException,
) -> Unmet:
    """All requirements of a mechanism, unmet because the mechanism failed.

    :param mechanism: the name of the mechanism
    :param reason: the reason code
    :param error: what the mechanism raised
    """
    return tuple(
        requirement.unmet(reason, f'{type(error).__name__}: {error}')
        for requirement in request.wanted.of(mechanism)
    )
