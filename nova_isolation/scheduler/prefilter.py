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

"""Ask placement for the traits that a flavor's requirements imply.

Nova has no hook for third-party request filters. This module appends its own
to Nova's list, which Nova reads at each request
(nova.scheduler.request_filter.ALL_REQUEST_FILTERS).
"""

import typing

from nova import exception
import nova.conf
from nova.scheduler import request_filter
from oslo_log import log as logging

from nova_isolation import opts
from nova_isolation.decision import guest_image
from nova_isolation.mechanisms import base
from nova_isolation.mechanisms import registry
from nova_isolation.model import fault_message
from nova_isolation.model import reasons
from nova_isolation.model import requirements
from nova_isolation.model import traits

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

# What a flavor can say in the place of its image
# (_get_unique_flavor_image_meta in nova/virt/hardware.py).
_OF_FLAVORS = ('redirected_usb_ports', 'sound_model', 'usb_model')

# The text that Nova puts before the reason in the server's fault.
_BEFORE = exception.NoValidHost.msg_fmt % {
    'reason': exception.RequestFilterFailed.msg_fmt % {'reason': ''}
}


def isolation_filter(ctxt: typing.Any, request_spec: typing.Any) -> bool:
    """Add the required traits to a request.

    Placement applies them to a forced host too, for which no filter of the
    scheduler runs. The trait of a guarded host is always required.

    :returns: whether anything was added
    :raises nova.exception.RequestFilterFailed: no host can meet the
        requirements, because the extra specs are wrong, their mechanism does
        not work, or the image rules it out; the message tells the user why
    """
    extra_specs = request_spec.flavor.extra_specs
    if not requirements.is_tagged(extra_specs):
        return False
    if CONF.isolation.mode == 'audit':
        return False
    mechanisms = registry.get()
    wanted = requirements.parse(extra_specs, mechanisms.vocabulary)
    if wanted.problems:
        raise _failed(wanted.problems, mechanisms)
    answer = guest_image.decide(
        wanted, _guest_properties(request_spec), mechanisms
    )
    if not answer.accepted:
        raise _failed(answer.unmet, mechanisms)
    traits_ = {traits.GUARDED}
    if CONF.isolation.request_traits:
        traits_ |= required_traits(wanted, mechanisms)
    request_spec.root_required.update(traits_)
    LOG.debug('Isolation requires the traits %s', sorted(traits_))
    return True


def _guest_properties(request_spec: typing.Any) -> dict[str, object]:
    """Return the properties that are set in the image of a request.

    What Nova reads from the flavor as well is among them. Where both have it,
    the image's counts: Nova refuses a guest whose image and flavor differ.
    """
    specs = request_spec.flavor.extra_specs
    result: dict[str, object] = {
        f'hw_{name}': specs[f'hw:{name}']
        for name in _OF_FLAVORS
        if f'hw:{name}' in specs
    }
    image = request_spec.image
    if image is None or not image.obj_attr_is_set('properties'):
        return result
    properties = image.properties
    result.update(
        (name, getattr(properties, name))
        for name in properties.fields
        if properties.obj_attr_is_set(name)
    )
    return result


def required_traits(
    wanted: requirements.Requirements, mechanisms: registry.Mechanisms
) -> frozenset[str]:
    """The traits without which no host meets the requirements.

    :raises nova.exception.RequestFilterFailed: a mechanism does not answer,
        so hosts that offer it cannot be told from others. No filter would
        find out either where a host is forced.
    """
    result: set[str] = set()
    for item in wanted.items:
        try:
            # KeyError: the mechanism is not loaded.
            result.update(
                mechanisms.loaded[item.mechanism].required_traits(item)
            )
        except base.FAILURES as error:
            # A third-party mechanism may raise anything.
            LOG.exception(
                'Isolation mechanism %s failed to name its required traits',
                item.mechanism,
            )
            unmet = item.unmet(
                reasons.MECHANISM_UNAVAILABLE
                if item.mechanism in mechanisms.failed
                else reasons.MECHANISM_FAILED,
                f'{type(error).__name__}: {error}',
            )
            raise _failed((unmet,), mechanisms) from error
    return frozenset(result)


def _failed(
    unmet: tuple[reasons.Unmet, ...], mechanisms: registry.Mechanisms
) -> exception.RequestFilterFailed:
    """The exception that ends a request; its text is for the owner."""
    LOG.info(
        'Isolation refuses a request before hosts are looked at: %s',
        '; '.join(map(str, unmet)),
    )
    return exception.RequestFilterFailed(
        reason=fault_message.fit(unmet, _BEFORE, mechanisms.reasons)
    )


def install() -> None:
    """Have Nova's scheduler call :func:`isolation_filter`.

    Calling this again changes nothing.
    """
    opts.register(CONF)
    if isolation_filter not in request_filter.ALL_REQUEST_FILTERS:
        request_filter.ALL_REQUEST_FILTERS.append(isolation_filter)
