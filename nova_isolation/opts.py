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

"""The options of the group ``[isolation]``, in nova.conf."""

from collections.abc import Sequence
import typing

from oslo_config import cfg
from oslo_config import types

from nova_isolation.model import facts

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
    cfg.ListOpt(
        'certifications',
        default=[],
        item_type=types.String(max_length=64),
        help="""
The certifications that hold for this host, e.g. ``LSPP``.

A declaration of the admin. Where a certification presupposes a state of the
host (``LSPP``: SELinux enforcing with an MLS policy), that is measured and
counts too.

Services: nova-compute.
""",
    ),
    cfg.ListOpt(
        'svirt_types',
        default=['svirt_t', 'svirt_tcg_t'],
        item_type=types.String(max_length=64),
        help="""
The SELinux types that guests may have on this host.

A type of ``isolation:svirt_type`` must be one of them. A guest of
``isolation:svirt=selinux`` without a type of its own must turn out to have
one of them.

Services: nova-compute.
""",
    ),
    cfg.StrOpt(
        'qemu_conf',
        default='/etc/libvirt/qemu.conf',
        help="""
The configuration of libvirt's QEMU driver.

Read for ``seccomp_sandbox``. Where only root may read it, it is read through
privsep, if the file is called qemu.conf. If it cannot be read, the sandbox
counts as unknown.

Services: nova-compute.
""",
    ),
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
    """The options, for oslo-config-generator and the documentation."""
    return [(GROUP, _ALL)]


def register(conf: cfg.ConfigOpts) -> typing.Any:
    """Make the options known to a configuration.

    :returns: the group
    """
    conf.register_group(GROUP)
    conf.register_opts(_ALL, group=GROUP)
    return conf.isolation


def freshness(group: typing.Any) -> facts.Freshness:
    """How old facts may be, by the options.

    :param group: the ``[isolation]`` group
    """
    return facts.Freshness(group.facts_max_age, group.clock_skew)
