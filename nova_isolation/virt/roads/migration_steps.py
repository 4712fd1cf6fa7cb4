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

"""Live migration: decided at both ends before memory moves, verified after.

Nova's guest is sent by its source and started by the destination's libvirtd,
so neither ``launch`` nor the scheduler is met where a host is forced. A
tagged guest arrives paused (:mod:`nova_isolation.virt.roads.choke_points`)
and runs when the destination has verified it.
"""

from collections.abc import Callable
import time
import typing

from nova.compute import power_state
from nova.compute import vm_states
import nova.conf
from oslo_log import log as logging
import oslo_messaging

from nova import context as nova_context
from nova import exception as nova_exception
from nova import objects
from nova_isolation import opts
from nova_isolation.decision import published
from nova_isolation.mechanisms import registry
from nova_isolation.model import reasons
from nova_isolation.virt import exception
from nova_isolation.virt.guard import guard
from nova_isolation.virt.guard import guest_request
from nova_isolation.virt.guard import report
from nova_isolation.virt.roads import placement

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)


def check_destination(
    keeper: guard.Guard, request: guest_request.GuestRequest
) -> None:
    """Decide on the destination, before anything moves.

    :param keeper: the guard of the destination
    :param request: what is asked for the guest
    :raises nova.exception.MigrationPreCheckError: refused. An exception of
        ours would reach conductor and source as a RemoteError, which they do
        not answer by trying another host.
    """
    try:
        keeper.admit(request)
    except exception.GuestRefused as refusal:
        raise nova_exception.MigrationPreCheckError(
            reason=refusal.format_message()
        ) from refusal


def may_leave(
    keeper: guard.Guard,
    instance: typing.Any,
    request: guest_request.GuestRequest,
    dest: str,
) -> bool:
    """Decide on the source, by what the destination has published.

    A destination without our driver, which a forced migration can name,
    would never verify the guest.

    :param keeper: the guard of the source
    :param instance: Nova's instance
    :param request: what is asked for the guest
    :param dest: the name of the destination's compute service
    :returns: whether it may be sent there; where not, that is told. Always
        in audit mode.
    """
    try:
        unmet = _unmet_by(keeper, dest, request)
    except Exception as error:
        LOG.exception('Cannot find the facts of %s', dest, instance=instance)
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
    refusal = exception.GuestRefused(unmet)
    LOG.warning(
        'Destination %(dest)s: %(details)s',
        {'dest': dest, 'details': refusal.details},
        instance=instance,
    )
    keeper.reporter.recorded(request, report.DECIDE, refusal)
    if keeper.enforces:
        keeper.reporter.fault(instance, refusal)
    return not keeper.enforces


def releasing(
    post: Callable[..., None], migrate_data: typing.Any
) -> Callable[..., None]:
    """What Nova does on the source when the guest has left it.

    Where the destination then refuses the guest, Nova would keep for ever
    what it held on the source: it ends before it gives that back
    (nova.compute.manager, ``_post_live_migration``).

    :param post: Nova's method; its first argument is the request's context
    :param migrate_data: Nova's data of the migration
    """

    def run(context: typing.Any, *args: typing.Any) -> None:
        try:
            post(context, *args)
        except oslo_messaging.RemoteError as error:
            if error.exc_type == exception.GuestRefused.__name__:
                placement.release_source(context, migrate_data.migration)
            raise

    return run


def _unmet_by(
    keeper: guard.Guard, host: str, request: guest_request.GuestRequest
) -> tuple[reasons.Unmet, ...]:
    """What the destination has not published that it offers, or what third
    parties do not state about it.
    """
    node: typing.Any = (
        objects.ComputeNode.get_first_node_by_host_for_old_compat(
            nova_context.get_admin_context(), host
        )
    )
    now = time.time()
    return (
        published.PublishedDecision(
            request.wanted,
            opts.freshness(CONF.isolation),
            registry.get(),
            enforces=keeper.enforces,
        )
        .decide(
            node.stats,
            now,
            keeper.attestation.statements(host, node.uuid),
            keeper.attestation.clock(now),
        )
        .unmet
    )


def asked_for_arrival(
    keeper: guard.Guard,
    host: typing.Any,
    instance: typing.Any,
    context: typing.Any,
) -> guest_request.GuestRequest:
    """What is asked for a guest that has arrived.

    :param keeper: the guard of the destination
    :param host: Nova's Host of the destination
    :param instance: Nova's instance, as the source sent it
    :param context: the request's context
    """
    if 'flavor' in instance or instance._context is not None:
        return keeper.requests.of_instance(instance, context)
    # Sent without its flavor and nowhere to ask for it: the domain itself
    # has what Nova wrote into it when it was made.
    return keeper.requests.of_xml(host.get_guest(instance).get_xml_desc())


def arrive(
    keeper: guard.Guard,
    host: typing.Any,
    instance: typing.Any,
    request: guest_request.GuestRequest,
) -> None:
    """Verify a guest that has arrived, and let it run.

    :param keeper: the guard of the destination
    :param host: Nova's Host of the destination
    :param instance: Nova's instance
    :param request: what is asked for the guest
    :raises nova_isolation.virt.exception.GuestRefused: it is not as asked;
        it is paused, with its memory as it came
    """
    guest = host.get_guest(instance)
    state = None
    try:
        state = guest.get_power_state(host)
        if state == power_state.PAUSED and instance.vm_state != (
            vm_states.PAUSED
        ):
            guest.resume()
        else:
            # Paused by its user, or from a source that sent it running.
            keeper.resume(guest, request, lambda: None)
    except BaseException:
        if state != power_state.PAUSED:
            _pause(guest, instance)
        raise


def _pause(guest: typing.Any, instance: typing.Any) -> None:
    try:
        guest.pause()
    except Exception:
        LOG.exception(
            'A guest that arrived running and is not as asked could not be '
            'paused; it runs',
            instance=instance,
        )
