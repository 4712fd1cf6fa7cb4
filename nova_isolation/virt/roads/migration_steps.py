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

"""Live migration: both hosts decide before memory moves, one verifies it.

A migrating guest is started by the libvirtd of the destination and not by
Nova's ``launch``, and where the destination is forced, the scheduler is not
asked. So a tagged guest arrives paused
(:mod:`nova_isolation.virt.roads.choke_points`) and runs when the destination
has verified it: at the end of the migration, or as soon as it arrives
(:mod:`nova_isolation.virt.roads.arrivals`).
"""

from collections.abc import Callable
import time
import typing

from nova import context as nova_context
from nova import exception as nova_exception
from nova import objects
from nova.compute import power_state
from nova.compute import vm_states
import nova.conf
from oslo_log import log as logging
import oslo_messaging
from oslo_utils import timeutils

from nova_isolation import opts
from nova_isolation.decision import published
from nova_isolation.mechanisms import registry
from nova_isolation.model import reasons
from nova_isolation.virt import exception
from nova_isolation.virt.guard import domain_xml
from nova_isolation.virt.guard import guard
from nova_isolation.virt.guard import guest_request
from nova_isolation.virt.guard import outcome
from nova_isolation.virt.roads import placement

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)


def check_destination(
    host_guard: guard.Guard, request: guest_request.GuestRequest
) -> None:
    """Decide on the destination, before anything moves.

    :param host_guard: the guard of the destination
    :param request: what is asked for the guest
    :raises nova.exception.MigrationPreCheckError: the destination refuses
        the guest. An exception of ours would reach conductor and source as a
        RemoteError, after which they do not try another host.
    """
    try:
        host_guard.admit(request)
    except exception.GuestRefused as refusal:
        raise nova_exception.MigrationPreCheckError(
            reason=refusal.format_message()
        ) from refusal


def may_leave(
    host_guard: guard.Guard,
    instance: typing.Any,
    request: guest_request.GuestRequest,
    dest: str,
) -> bool:
    """Decide on the source, by what the destination has published.

    A destination without our driver, which a forced migration can name,
    would never verify the guest.

    :param host_guard: the guard of the source
    :param instance: Nova's instance
    :param request: what is asked for the guest
    :param dest: the name of the destination's compute service
    :returns: whether the guest may be sent there; in audit mode always. If
        a requirement is not met, that is reported.
    """
    started = timeutils.utcnow()
    try:
        unmet = _unmet_by(host_guard, dest, request)
    except Exception as error:
        LOG.exception(
            'Cannot find the facts of destination host %s',
            dest,
            instance=instance,
        )
        unmet = (
            reasons.Unmet(
                reasons.FACTS_MISSING.code,
                '',
                f'facts of {dest}',
                f'{type(error).__name__}: {error}',
            ),
        )
    if not unmet:
        return True
    refused = host_guard.enforces
    host_guard.reporter.report(
        outcome.Outcome(
            request=request,
            stage=outcome.Stage.DECIDE,
            result=(
                outcome.Result.REFUSED if refused else outcome.Result.RECORDED
            ),
            unmet=unmet,
            started=started,
            instance=instance,
            destination=dest,
            # The migration is rolled back, which Nova takes for no failure
            # of the server.
            nova_writes_fault=False,
        )
    )
    return not refused


def releasing(
    post: Callable[..., None], migrate_data: typing.Any
) -> Callable[..., None]:
    """Make Nova's steps on the source release the source's allocation.

    If the destination refuses a guest that has arrived, Nova's steps on the
    source end before they delete the allocation of the source, which would
    then stay for ever (nova.compute.manager, ``_post_live_migration``).

    :param post: Nova's method; its first argument is the request's context
    :param migrate_data: Nova's data of the migration
    :returns: what is to be called instead of ``post``
    """

    def run(context: typing.Any, *args: typing.Any) -> None:
        try:
            post(context, *args)
        except oslo_messaging.RemoteError as error:
            if error.exc_type == exception.GuestRefused.__name__:
                placement.release_source(context, migrate_data.migration)
            raise

    return run


def arrives_paused(
    host_guard: guard.Guard, instance: typing.Any, dest: str
) -> bool:
    """Whether a tagged guest is sent so that it arrives paused.

    It must where either host enforces. A source in audit mode sends a guest
    running to a host that does not enforce, because a host without our driver
    would not resume it.

    :param host_guard: the guard of the source
    :param instance: Nova's instance
    :param dest: the name of the destination's compute service
    """
    if host_guard.enforces:
        return True
    try:
        return published.enforces(_node(dest).stats)
    except Exception:
        LOG.exception(
            'Cannot find the mode of destination host %s; the guest is sent '
            'so that it arrives paused',
            dest,
            instance=instance,
        )
        return True


def _node(host: str) -> typing.Any:
    """The compute node of a host, as it was published.

    :raises Exception: there is none, or the database cannot be asked
    """
    nodes: typing.Any = objects.ComputeNode
    return nodes.get_first_node_by_host_for_old_compat(
        nova_context.get_admin_context(), host
    )


def _unmet_by(
    host_guard: guard.Guard, host: str, request: guest_request.GuestRequest
) -> tuple[reasons.Unmet, ...]:
    """The requirements that a host does not meet, by what it published and
    by what third parties state of it.
    """
    node = _node(host)
    now = time.time()
    return (
        published.PublishedDecision(
            request.wanted,
            opts.freshness(CONF.isolation),
            registry.get(),
            enforces=host_guard.enforces,
        )
        .decide(
            node.stats,
            now,
            host_guard.attestation.statements(host, node.uuid),
            host_guard.attestation.clock(now),
        )
        .unmet
    )


def request_for_arrival(
    host_guard: guard.Guard,
    host: typing.Any,
    instance: typing.Any,
    context: typing.Any,
) -> guest_request.GuestRequest:
    """What is asked for a guest that has arrived.

    :param host_guard: the guard of the destination
    :param host: Nova's Host of the destination
    :param instance: Nova's instance, as the source sent it
    :param context: the request's context
    """
    if 'flavor' in instance or instance._context is not None:
        return host_guard.requests.of_instance(instance, context)
    # The source has sent the instance without its flavor, and the flavor
    # cannot be loaded. The domain has what Nova wrote into it when the guest
    # was made.
    return host_guard.requests.of_xml(
        domain_xml.DomainXml(host.get_guest(instance).get_xml_desc())
    )


def arrive(
    host_guard: guard.Guard,
    host: typing.Any,
    instance: typing.Any,
    request: guest_request.GuestRequest,
    resumed: bool = False,
) -> None:
    """Verify a guest that has arrived, and resume it.

    A guest that was verified and resumed at its arrival is verified once
    more; whether it runs now is not changed.

    :param host_guard: the guard of the destination
    :param host: Nova's Host of the destination
    :param instance: Nova's instance
    :param request: what is asked for the guest
    :param resumed: whether the guest was verified and resumed at its arrival
    :raises nova_isolation.virt.exception.GuestRefused: the guest does not
        meet its requirements; it is paused and keeps its memory
    """
    guest = host.get_guest(instance)
    state = None
    try:
        state = guest.get_power_state(host)
        if state != power_state.PAUSED and host_guard.enforces and not resumed:
            # The source runs another driver, or took this host for one in
            # audit mode.
            _pause(guest, instance)
            state = guest.get_power_state(host)
        if (
            state == power_state.PAUSED
            and not _was_paused(instance)
            and not resumed
        ):
            guest.resume()
        else:
            # Its user or an operator has paused the guest, audit mode lets it
            # run, or it was resumed at its arrival: if it is paused now,
            # somebody wants that.
            host_guard.resume(guest, request, lambda: None)
    except BaseException:
        if state != power_state.PAUSED:
            _pause(guest, instance)
        raise


def _was_paused(instance: typing.Any) -> bool:
    """Whether a guest was paused when it was sent.

    An operator's "virsh suspend" changes only what Nova knows of the domain.
    While the guest is migrated, Nova leaves that as it is.
    """
    return bool(
        instance.vm_state == vm_states.PAUSED
        or instance.power_state == power_state.PAUSED
    )


def _pause(guest: typing.Any, instance: typing.Any) -> None:
    try:
        guest.pause()
    except Exception:
        LOG.exception(
            'A guest that arrived running could not be paused; it runs on '
            'whether or not it meets its isolation requirements',
            instance=instance,
        )
