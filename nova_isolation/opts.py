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

"""The options in nova.conf: ``[isolation]`` and the groups of the mechanisms.

Each mechanism declares its own options
(:meth:`nova_isolation.mechanisms.base.Mechanism.options`).
"""

from collections.abc import Sequence
import logging
import typing

from oslo_config import cfg

from nova_isolation import option_group
from nova_isolation.mechanisms import base
from nova_isolation.mechanisms import entry_points
from nova_isolation.mechanisms import registry
from nova_isolation.model import facts

LOG = logging.getLogger(__name__)

GROUP = cfg.OptGroup(
    'isolation',
    title='Isolation options',
    help="""
Isolation of guests, per flavor.

nova-isolation refuses a guest wherever it cannot prove that the guest is
confined as the ``isolation:`` extra specs of its flavor ask. It never
refuses or changes a guest of a flavor without such extra specs.
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
                'Decide, verify, log and record, but refuse no guest. This '
                'mode is for the introduction of isolation on a live cloud.',
            ),
        ],
        help="""
Whether guests are refused, or refusals are only recorded.

Services: nova-scheduler, nova-compute. Set the same mode for all services: a
scheduler in audit mode places guests on hosts where an enforcing compute
service then refuses them.
""",
    ),
    cfg.IntOpt(
        'facts_max_age',
        default=180,
        min=1,
        help="""
Seconds after which the facts of a host no longer count.

A compute host measures itself every time its periodic task
update_available_resource runs, by default about once a minute. Set a value
that allows for a few missed runs.

Services: nova-scheduler, nova-isolation-manage.
""",
    ),
    cfg.IntOpt(
        'clock_skew',
        default=30,
        min=0,
        help="""
Seconds by which the clock of a compute host may be ahead.

Facts that are dated further in the future do not count.

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

Placement then names only hosts that have these traits. This also covers a
forced host (``--availability-zone ZONE:HOST``), for which Nova skips all
filters of the scheduler. Traits only narrow the hosts; the decision is made
on the facts.

Whatever the value of this option, a tagged flavor requires
CUSTOM_ISOLATION_GUARDED, the trait of hosts that run the compute driver of
nova-isolation.

Services: nova-scheduler.
""",
    ),
]

_COMPUTE = [
    cfg.StrOpt(
        'qemu_run_dir',
        default='/run/libvirt/qemu',
        help="""
The folder in which libvirt keeps the process ids of its QEMU processes
(DOMAIN.pid).

Services: nova-compute.
""",
    ),
    cfg.StrOpt(
        'process_root',
        default='/proc',
        help="""
The folder in which nova-compute sees the processes of libvirt and QEMU: a
mounted procfs of the host's PID namespace.

Where nova-compute has a PID namespace of its own, as in many containers,
``/proc`` shows other processes. Mount the host's ``/proc`` into the container
and name that folder here, e.g. ``/host/proc``. The process ids in
``qemu_run_dir`` are looked up in this folder.

Services: nova-compute.
""",
    ),
    cfg.StrOpt(
        'xen_console_log_dir',
        default='/var/log/xen/console',
        help="""
The folder in which xenconsoled of a Xen host keeps what guests write to their
consoles, one file for each guest (``guest-NAME.log``).

The console log of a server comes from there, so xenconsoled must run with
``--log=guest`` and nova-compute must be able to read the files. Without them
Nova reads the terminal of the guest itself, and loses what was written before.

Services: nova-compute with compute_driver = isolation.IsolationXenDriver.
""",
    ),
    cfg.StrOpt(
        'libvirt_root',
        default='',
        help="""
The root folder in which libvirt starts QEMU, as nova-compute sees the folder.

The emulator and its modules are measured below this folder, and AppArmor's
template of the profiles of guests is read there. Where it is empty, it is the
root folder of the process that ``driver.pid`` in ``qemu_run_dir`` names
(libvirtd, virtqemud or virtxend), ``PROCESS_ROOT/PID/root``. So nova-compute
needs no QEMU in its own container. The emulator is then run there for its
answers, with the rights of nova-compute's user. Set ``/`` for the root folder
of nova-compute itself, where no daemon of libvirt runs on this host.

Services: nova-compute.
""",
    ),
    cfg.StrOpt(
        'xen_device_model',
        default='/usr/libexec/xen-qemu-system-i386',
        help="""
The QEMU that libxl starts on a Xen host, as device model of HVM guests and
behind disks that the kernel does not serve. The default is Debian's.

libxl has this path compiled in, and libvirt names another file. The process of
each guest is compared with this file, so a wrong path refuses guests of
flavors with ``isolation:qemu_hardening`` or ``isolation:qemu_absent``.

Services: nova-compute.
""",
    ),
    cfg.StrOpt(
        'selinuxfs',
        default='/sys/fs/selinux',
        help="""
The folder at which selinuxfs is mounted for nova-compute, read-write, because
nova-compute asks the kernel about types there.

Services: nova-compute.
""",
    ),
    cfg.FloatOpt(
        'probe_timeout',
        default=10.0,
        min=0.1,
        help="""
Seconds that a program, or the privileged helper of nova-compute, may take to
answer a question about the host.

Services: nova-compute.
""",
    ),
    cfg.FloatOpt(
        'measure_timeout',
        default=30.0,
        min=0.1,
        help="""
Seconds that one mechanism may take to measure the host or to verify a guest,
and that the start of the privileged helper of nova-compute may take.

A file system whose server is away, a process that hangs or a libvirt that
waits for a lock may never answer. After this time the facts of the mechanism
count as unknown, or the guest as not verified, and the host goes on without
the answer. Set more than ``probe_timeout``.

Services: nova-compute.
""",
    ),
    cfg.IntOpt(
        'fault_timeout',
        default=120,
        min=0,
        help="""
Seconds for which a refusing host waits to add its reason as a fault.

When all hosts that Nova tried have refused a guest, Nova writes the fault
"Exceeded maximum number of retries". The compute service that refused the
guest waits at most this long for that fault, and then adds a fault with its
reason to the server. With 0 the compute service adds no fault.

Services: nova-compute.
""",
    ),
]

_ARRIVAL = [
    cfg.BoolOpt(
        'resume_at_arrival',
        default=False,
        help="""
Resume a tagged guest as soon as it arrives by live migration.

With False a tagged guest that arrives stays paused until Nova on the source
has ended the migration, which takes a second or two.

With True this host verifies the guest while its memory is copied, verifies it
again when it has arrived, and resumes it at once. The guest then stands still
about as long as an untagged one. If that cannot be done, the guest is verified
and resumed as with False.

False is the safer value. If the connection between the two libvirt daemons
breaks in the moment in which the destination answers that the guest has
arrived, the libvirt of the source takes the migration for failed and lets the
guest run there again. A guest that waits paused on the destination then does
not run twice. With True it may run on both hosts, as an untagged guest may in
any case, and damage a disk that both hosts use. Set True where such a break is
acceptable, or where a lock manager of libvirt (``lock_manager`` in qemu.conf)
protects the disks.

The value on the destination counts.

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

The compute service verifies a guest of a tagged flavor before the guest
runs. It verifies the guest again each time this many seconds have passed,
when nova-compute starts, and at once when somebody other than Nova starts or
resumes the guest. With 0 the compute service verifies a guest only before
the guest runs.

Services: nova-compute.
""",
    ),
    cfg.StrOpt(
        'on_violation',
        default='report',
        choices=[
            (
                'report',
                'Report the violation. The guest continues to run.',
            ),
            (
                'pause',
                'Report the violation and pause the guest. The guest keeps '
                'its memory and is verified again when it is unpaused.',
            ),
            (
                'stop',
                'Report the violation and power the guest off at once, as by '
                'a power cut.',
            ),
        ],
        help="""
The reaction to a running guest that violates its isolation requirements.

Everything that ends a guest's confinement is a violation, also when an admin
causes it. For example, after an upgrade of QEMU each guest that was started
before the upgrade runs another binary than the measured one, so ``pause`` or
``stop`` pauses or stops that guest. Move the guests away before such
maintenance, or set ``report`` until it is finished.

In audit mode the reaction is always ``report``.

Services: nova-compute.
""",
    ),
    cfg.BoolOpt(
        'violation_closes_host',
        default=True,
        help="""
Refuse new guests that need a mechanism which a running guest violates.

Where a guest is not confined as its flavor asks, the host's own measurements
are not the whole truth. So the mechanism that the guest violates (``svirt``,
``qemu``, ...) counts as unmet for guests that come to this host
(``isolation.host.violated``), and the host loses the traits of that
mechanism, until the guest is fixed or has left the host. Guests that are on
the host already can be rebooted.

With False the host accepts new guests, and only the facts and the
verification of each new guest count. Use False for hosts whose guests shall
run for a long time after an upgrade of QEMU.

Services: nova-compute.
""",
    ),
    cfg.ListOpt(
        'notification_topics',
        default=['isolation_notifications'],
        help="""
The topics of the notifications ``isolation.violation`` and
``isolation.violation.end``.

The driver and the transport are those of Nova's own notifications,
``[oslo_messaging_notifications]``.

Services: nova-compute.
""",
    ),
]

_ALL = _DECIDING + _SCHEDULER + _COMPUTE + _ARRIVAL + _WATCH


def list_opts() -> list[tuple[cfg.OptGroup, Sequence[cfg.Opt]]]:
    """Return all options, for oslo-config-generator and the documentation.

    :returns: ``[isolation]``, and a group for each installed mechanism that
        has options
    """
    result: list[tuple[cfg.OptGroup, Sequence[cfg.Opt]]] = [(GROUP, _ALL)]
    for name, mechanism in registry.get().loaded.items():
        try:
            options = entry_points.options(mechanism)
        except BaseException as error:
            LOG.warning(
                'Options of mechanism %s are left out: %s',
                name,
                entry_points.words(error),
            )
            continue
        if options:
            result.append((_group(name), options))
    return result


def register(conf: cfg.ConfigOpts) -> typing.Any:
    """Register the options in a configuration.

    :returns: the group ``[isolation]``
    """
    ours = option_group.register(conf, GROUP, _ALL)
    for name, mechanism in registry.get().loaded.items():
        try:
            options = entry_points.options(mechanism)
            if options:
                conf.register_opts(options, group=_group(name))
        except BaseException:
            # The mechanism may be of another package. Without its options it
            # cannot measure, so flavors that need the mechanism are refused.
            LOG.exception(
                'Options of mechanism %(name)s cannot be registered; flavors '
                'that need %(name)s are refused on this host',
                {'name': name},
            )
    return ours


def _group(mechanism: str) -> cfg.OptGroup:
    return cfg.OptGroup(
        base.option_group(mechanism),
        title=f'Options of the mechanism {mechanism}',
    )


def freshness(group: typing.Any) -> facts.Freshness:
    """Return the limits for the age of facts, by the options.

    :param group: the ``[isolation]`` group
    """
    return facts.Freshness(group.facts_max_age, group.clock_skew)
