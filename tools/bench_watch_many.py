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

"""Measure one pass of the watch over 500 guests, and a day of passes.

The bench needs root and a QEMU, and no cloud. The watch is the real one, and
so is what it reads of the kernel: each guest is a process of this machine
(:mod:`tools.many_guests`). libvirt's daemon, Nova's conductor and the clock
are made here (:mod:`tools.host_of_many`). The host is measured in each pass,
its emulator about once a minute, by the real clock. The privileged helper is
not measured: root needs none.

Goals: 500 guests in 0.5 s, 1 ms of the processor each; the memory grows by 5
MB with 500 tagged guests, and not at all in a day.
"""

import argparse
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import dataclasses
import functools
import gc
import os
from pathlib import Path
import re
import tempfile
import time
import tracemalloc
from unittest import mock

os.environ.setdefault('OS_NOVA_DISABLE_EVENTLET_PATCHING', '1')

from nova import context as nova_context
from nova import objects
import nova.conf
from nova.objects import base as objects_base

from nova_isolation import opts
from nova_isolation.attestation import service
from nova_isolation.host import compute_host
from nova_isolation.mechanisms import registry
from nova_isolation.probes import program
from nova_isolation.virt.guard import guard as guards
from nova_isolation.virt.guard import sink
from nova_isolation.virt.roads import qemu_hypervisor
from nova_isolation.virt.sinks import event
from nova_isolation.virt.sinks import fault
from nova_isolation.virt.sinks import late_fault
from nova_isolation.virt.sinks import log
from nova_isolation.virt.sinks import notification
from nova_isolation.virt.watch import periodic_verification
from nova_isolation.virt.watch import running_guests
from tools import bench_report
from tools import host_of_many
from tools import many_guests

_QEMU = {
    'isolation:hypervisor': 'qemu',
    'isolation:qemu_hardening': 'pie',
    'isolation:qemu_sandbox': 'true',
}
_SVIRT = {'isolation:svirt': 'selinux'}
_KINDS: Mapping[str, Mapping[str, str]] = {
    'untagged': {},
    'qemu': _QEMU,
    'svirt': _SVIRT,
}
_NAME = 'watch_many'
_TAGGED = _QEMU | _SVIRT
_DAY = 24 * 60 * 60
#: Seconds that a measurement of the host may take on a busy machine.
_PATIENCE = 60.0
#: So often Nova's instances are read until the memory no longer grows.
_READS = 40
#: Passes after which it no longer grows, once it has grown for Nova.
_PASSES = 10
_SELINUX = {
    'enforce': '1',
    'mls': '1',
    'initial_contexts/kernel': 'system_u:system_r:kernel_t:s0\0',
    'class/process/index': '2',
}
#: The kernel's answer about an access: the policy is enforced.
_DECISION = '6000165 ffffffff 0 ffffffff 14 0'


class _Clock:
    """Stands for the module ``time`` where hours are to pass."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def advance(self, seconds: float) -> None:
        """Let so much time pass at once."""
        self._ahead += seconds

    def monotonic(self) -> float:
        """As that of the module."""
        return time.monotonic() + self._ahead


class _Host(compute_host.ComputeHost):
    """The real one, on a kernel with SELinux, whose guests are shells."""

    def emulator(self) -> program.Emulator:
        """See the base class."""
        found = super().emulator()
        return dataclasses.replace(found, identity=_shell())

    def ask(self, path: str, question: str) -> str:
        """See the base class."""
        return question if path.endswith('/context') else _DECISION


@functools.cache
def _shell() -> program.Identity:
    return program.identity(many_guests.SHELL)


class _Watch:
    """The watch of one host, and what it looks at.

    :ivar guests: the processes
    """

    def __init__(
        self, folder: Path, guests: many_guests.ManyGuests, clock: _Clock
    ) -> None:
        self.guests = guests
        self._clock = clock
        self._libvirt = host_of_many.LibvirtHost()
        conf = nova.conf.CONF
        opts.register(conf)
        for name, value in (
            ('qemu_run_dir', guests.run_dir),
            ('process_root', guests.proc),
            ('selinuxfs', _selinux(folder)),
        ):
            conf.set_override(name, str(value), 'isolation')
        objects_base.NovaObject.indirection_api = host_of_many.Conductor(
            self._libvirt
        )
        self._interval: float = conf.isolation.verify_interval
        self._guard = guards.Guard(
            conf.isolation,
            qemu_hypervisor.QemuHypervisor(self._libvirt, conf.isolation),
            _Host(self._libvirt, conf, 'qemu', dict),
            registry.get(),
            sink.Reporter(
                (
                    log.LogSink(),
                    notification.NotificationSink(host_of_many.HOST, ()),
                    event.EventSink(host_of_many.HOST),
                    fault.FaultSink(late_fault.LateFaults(0)),
                )
            ),
            service.NoAttestation(),
        )
        self._guard.host.renew(_PATIENCE)
        self._guard.host.publish()
        self._work = periodic_verification.PeriodicVerification(
            host_of_many.HOST,
            self._guard,
            lambda _: self._guard.host.publish(),
        )

    @property
    def day(self) -> int:
        """The passes of a day."""
        return int(_DAY / self._interval)

    def show(self, specs: Mapping[str, str]) -> None:
        """Let libvirt and Nova know all guests that run.

        :param specs: the extra specs of their flavor
        """
        self._libvirt.specs = specs
        self._libvirt.guests = {one.uuid: one for one in self.guests.running}

    def read_instances(self) -> None:
        """Read the instances of the host, as Nova's own tasks do."""
        objects.InstanceList.get_by_host(
            nova_context.get_admin_context(),
            host_of_many.HOST,
            expected_attrs=['flavor'],
        )

    def run(self) -> tuple[float, float]:
        """One pass, when the interval is over.

        :returns: the seconds that it took, and the processor's
        :raises RuntimeError: it did not find what there is
        """
        self._clock.advance(self._interval)
        begun, before = time.perf_counter(), time.process_time()
        self._work.run()
        used = time.process_time() - before
        taken = time.perf_counter() - begun
        known = self._guard.violations
        tagged = self._libvirt.guests if self._libvirt.specs else ()
        if known.known or known.examined < frozenset(tagged):
            raise RuntimeError(
                f'{len(known.examined)} guests were verified: {known.known}'
            )
        return taken, used


def _selinux(folder: Path) -> Path:
    """A folder that looks like selinuxfs."""
    result = folder / 'selinux'
    for name, text in _SELINUX.items():
        path = result / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='ascii')
    return result


def _resident() -> float:
    """The resident memory of this process, in MB."""
    text = Path('/proc/self/status').read_text(encoding='ascii')
    (found,) = re.findall(r'^VmRSS:\s+([0-9]+) kB$', text, re.M)
    return int(found) * 1024 / 1e6


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    bench_report.add_argument(parser)
    parser.add_argument('--guests', type=int, default=500)
    parser.add_argument('--rounds', type=int, default=10)
    parser.add_argument(
        '--seconds',
        type=float,
        default=60,
        help='after which the day ends early; its passes are an interval '
        'apart all the same',
    )
    options = parser.parse_args()
    if os.geteuid():
        parser.error('it needs root, who reads all of a process')
    with _made() as watch:
        for _ in range(options.guests):
            watch.guests.start()
        rows = _memory(watch, options.guests)
        rows = _passes(watch, options.guests, options.rounds) + rows
        rows.append(_a_day(watch, options.seconds))
        # Last: it is slow, and takes memory itself.
        rows.append(_kept(watch, options.guests))
    bench_report.finish(options.json, rows)


@contextlib.contextmanager
def _made() -> Iterator[_Watch]:
    clock = _Clock()
    with contextlib.ExitStack() as undo:
        folder = Path(
            undo.enter_context(
                tempfile.TemporaryDirectory(prefix='nova-isolation-')
            )
        )
        # Another user examines the emulator below the folder.
        folder.chmod(0o755)
        guests = undo.enter_context(many_guests.made(folder))
        undo.enter_context(mock.patch.object(running_guests, 'time', clock))
        yield _Watch(folder, guests, clock)


def _passes(watch: _Watch, guests: int, rounds: int) -> list[bench_report.Row]:
    """Look at all guests, untagged and tagged, in turn."""
    taken: dict[str, list[float]] = {}
    used: dict[str, list[float]] = {}
    for _ in range(rounds):
        for kind, specs in _KINDS.items():
            watch.show(specs)
            # A host has the same guests all the time.
            watch.run()
            elapsed, processor = watch.run()
            case = f'{guests} guests, {kind}'
            taken.setdefault(case, []).append(1e3 * elapsed)
            case = f'each guest, cpu, {kind}'
            used.setdefault(case, []).append(1e3 * processor / guests)
    return [
        one
        for cases in (taken, used)
        for one in bench_report.rows(_NAME, 'ms', cases, next(iter(cases)))
    ]


def _memory(watch: _Watch, guests: int) -> list[bench_report.Row]:
    """Look at no guests, at untagged ones, at tagged ones.

    Nova's own tasks read all instances as often as the watch does. Nova's
    objects refer to each other in circles, so they stay until Python's
    collector comes; what that leaves to the process is measured first.
    """
    _run(watch, _PASSES)
    rows = []
    before = _resident()
    watch.show(_TAGGED)
    for _ in range(_READS):
        watch.read_instances()
    rows.append(_grown(f'Nova reads {guests} instances', before))
    before = _resident()
    for kind, specs in (('untagged', {}), ('tagged', _TAGGED)):
        watch.show(specs)
        _run(watch, _PASSES)
        rows.append(_grown(f'watch, {guests} {kind}', before))
    return rows


def _a_day(watch: _Watch, seconds: float) -> bench_report.Row:
    """Look at tagged guests all day; one ends and one begins each time."""
    watch.show(_TAGGED)
    _run(watch, _PASSES)
    before, passes = _resident(), 0
    end = time.monotonic() + seconds
    while passes < watch.day and time.monotonic() < end:
        watch.guests.end()
        watch.guests.start()
        watch.show(_TAGGED)
        watch.run()
        passes += 1
    return _grown(f'{passes} of {watch.day} passes later', before)


def _kept(watch: _Watch, guests: int) -> bench_report.Row:
    """What the watch of tagged guests still has when a pass is over."""
    watch.show({})
    watch.run()
    tracemalloc.start()
    watch.show(_TAGGED)
    for _ in range(2):
        watch.run()
    gc.collect()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    case = f'memory kept of {guests} tagged guests'
    return bench_report.row(_NAME, case, 'MB', [kept / 1e6])


def _grown(what: str, before: float) -> bench_report.Row:
    case = f'resident, {what}'
    return bench_report.row(_NAME, case, 'MB', [_resident() - before])


def _run(watch: _Watch, passes: int) -> None:
    for _ in range(passes):
        watch.run()


if __name__ == '__main__':
    main()
