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

"""The options in nova.conf: the group ``[isolation]``, and the mechanisms'.

The options of a mechanism are declared by the mechanism
(:meth:`nova_isolation.mechanisms.base.Mechanism.options`).
"""

from collections.abc import Sequence
import logging
import typing

from oslo_config import cfg

from nova_isolation.mechanisms import base
from nova_isolation.mechanisms import registry
from nova_isolation.model import facts

LOG = logging.getLogger(__name__)

GROUP = cfg.OptGroup(
    'isolation',
    title='Isolation options',
    help="""
Isolation of guests, per flavor.

nova-isolation refuses a guest wherever it cannot prove that the guest is
confined as the ``isolation:`` extra specs of its flavor ask. Guests of other
flavors are never touched.
""",
)

_DECIDING = [
    cfg.StrOpt(
        'mode',
        default='enforce',
        choices=[
            ('enforce', 'Refuse a guest whose requirements are not met.'),
            (
                'audit',
                'Decide, verify, log and record, but refuse nothing. For '
                'introducing isolation on a live cloud.',
            ),
        ],
        help="""
What a refusal does.

Services: nova-scheduler, nova-compute. Set the same everywhere: a scheduler
in audit mode places guests on hosts where an enforcing compute service then
refuses them.
""",
    ),
    cfg.IntOpt(
        'facts_max_age',
        default=180,
        min=1,
        help="""
Seconds after which the facts of a host no longer count.

A compute host measures itself every time its periodic task
update_available_resource runs, by default about once a minute. Allow for a
few that are missed.

Services: nova-scheduler, nova-isolation-manage.
""",
    ),
    cfg.IntOpt(
        'clock_skew',
        default=30,
        min=0,
        help="""
Seconds by which the clock of a compute host may be ahead.

Facts that are measured further in the future do not count.

Services: nova-scheduler, nova-isolation-manage.
""",
    ),
]

_SCHEDULER = [
    cfg.BoolOpt(
        'request_traits',
        default=True,
        help="""
Ask placement for the traits that the requirements of a flavor imply.

Placement then names only hosts that offer them, also when a host is forced
(``--availability-zone ZONE:HOST``), which skips all filters of the
scheduler. Traits narrow; the decision is made on the facts.

Off or on, a tagged flavor always requires CUSTOM_ISOLATION_GUARDED, the
trait of hosts that run our compute driver.

Services: nova-scheduler.
""",
    ),
]

_COMPUTE = [
    cfg.StrOpt(
        'qemu_run_dir',
        default='/run/libvirt/qemu',
        help="""
Where libvirt keeps the process ids of its QEMUs (DOMAIN.pid).

Services: nova-compute.
""",
    ),
    cfg.FloatOpt(
        'probe_timeout',
        default=10.0,
        min=0.1,
        help="""
Seconds that a program which is asked about the host may take.

Services: nova-compute.
""",
    ),
    cfg.IntOpt(
        'fault_timeout',
        default=120,
        min=0,
        help="""
Seconds for which a refusal waits to be told to the user.

When all hosts that Nova tried have refused a guest, Nova writes the fault
"Exceeded maximum number of retries". The compute service that refused waits
for that and then adds a fault with the reason. 0: do not.

Services: nova-compute.
""",
    ),
]

_WATCH = [
    cfg.IntOpt(
        'verify_interval',
        default=60,
        min=0,
        help="""
Seconds between two verifications of the running guests.

A guest of a tagged flavor is verified before it runs, and then again each
time this many seconds have passed, once when nova-compute starts, and at once
when somebody other than Nova starts or resumes it. 0: only before it runs.

Services: nova-compute.
""",
    ),
    cfg.StrOpt(
        'on_violation',
        default='report',
        choices=[
            ('report', 'Tell it. The guest runs on.'),
            (
                'pause',
                'Tell it and pause the guest, so that it keeps its memory. '
                'It is verified again when it is unpaused.',
            ),
            (
                'stop',
                'Tell it and power the guest off, at once, as if its power '
                'was cut.',
            ),
        ],
        help="""
What is done about a running guest that is no longer as its flavor asks.

Everything that ends a guest's confinement is a violation, also when an admin
does it: after an upgrade of QEMU each guest that ran before runs another
binary than the one that is measured, so with ``pause`` or ``stop`` it is
paused or stopped. Move the guests away before such maintenance, or set
``report`` for its time.

In audit mode it is always ``report``.

Services: nova-compute.
""",
    ),
    cfg.BoolOpt(
        'violation_closes_host',
        default=True,
        help="""
Offer no new guest what a running guest of this host violates.

Where a guest is not confined as it should be, the host's own measurements do
not tell the whole truth. So the mechanism which it violates (``svirt``,
``qemu``, ...) counts as unmet for guests that come to this host
(``isolation.host.violated``) and its traits go, until the guest is mended or
has left. Guests that are here already can be rebooted.

False: the host stays open, and each new guest is judged by the facts and its
own verification alone. For hosts whose guests are to run on for long after an
upgrade of QEMU.

Services: nova-compute.
""",
    ),
    cfg.ListOpt(
        'notification_topics',
        default=['isolation_notifications'],
        help="""
The topics of the notifications ``isolation.violation`` and
``isolation.violation.end``.

Driver and transport are those of Nova's own notifications,
``[oslo_messaging_notifications]``.

Services: nova-compute.
""",
    ),
]

_ALL = _DECIDING + _SCHEDULER + _COMPUTE + _WATCH


def list_opts() -> list[tuple[cfg.OptGroup, Sequence[cfg.Opt]]]:
    """All options, for oslo-config-generator and the documentation.

    :returns: ``[isolation]``, and a group for each mechanism that is
        installed and has options
    """
    return [
        (GROUP, _ALL),
        *(
            (_group(name), options)
            for name, mechanism in registry.get().loaded.items()
            if (options := mechanism.options())
        ),
    ]


def register(conf: cfg.ConfigOpts) -> typing.Any:
    """Make the options known to a configuration.

    :returns: the group ``[isolation]``
    """
    # A new group: configurations would share the values of GROUP itself.
    conf.register_group(
        cfg.OptGroup(GROUP.name, title=GROUP.title, help=GROUP.help)
    )
    conf.register_opts(_ALL, group=GROUP.name)
    for name, mechanism in registry.get().loaded.items():
        try:
            options = mechanism.options()
            if options:
                conf.register_opts(options, group=_group(name))
        except base.FAILURES:
            # A mechanism of any package. It cannot read its options then,
            # so it measures nothing and flavors that need it are refused.
            LOG.exception(
                'The options of the isolation mechanism %s cannot be '
                'registered',
                name,
            )
    return conf.isolation


def _group(mechanism: str) -> cfg.OptGroup:
    return cfg.OptGroup(
        base.option_group(mechanism),
        title=f'Options of the isolation mechanism {mechanism}',
    )


def freshness(group: typing.Any) -> facts.Freshness:
    """How old facts may be, by the options.

    :param group: the ``[isolation]`` group
    """
    return facts.Freshness(group.facts_max_age, group.clock_skew)
