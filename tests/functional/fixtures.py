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

"""A fake libvirt and a fake kernel, as far as isolation asks them.

Nova's fake libvirt knows no security label, starts paused guests running and
gives back a domain's XML without what was put into it. The classes here add
that, for each compute host apart (:class:`Machine`).
"""

import dataclasses
import shlex
import sys
import types
import typing
import urllib.parse

import fixtures
from lxml import etree
from nova import exception as nova_exception
from nova.tests.fixtures import libvirt as fakelibvirt

from nova_isolation.host import compute_host
from nova_isolation.mechanisms import base
from nova_isolation.model import reasons
from nova_isolation.model import sight
from nova_isolation.probes import program

#: [isolation] qemu_run_dir, by default
RUN_DIR = '/run/libvirt/qemu'

#: the flags of a start that leaves the guest paused
PAUSED = fakelibvirt.VIR_DOMAIN_START_PAUSED

#: the flag of a live migration that leaves the guest paused where it arrives,
#: and the one that lets its memory follow it there
MIGRATE_PAUSED = 32
MIGRATE_POSTCOPY = fakelibvirt.VIR_MIGRATE_POSTCOPY

RUNNING = fakelibvirt.VIR_DOMAIN_RUNNING

#: Why a domain is paused: somebody wants it, or its memory still arrives.
PAUSED_USER, PAUSED_MIGRATION = 1, 2

#: of libvirt's calls for metadata
ELEMENT = fakelibvirt.VIR_DOMAIN_METADATA_ELEMENT
AFFECT_LIVE = fakelibvirt.VIR_DOMAIN_AFFECT_LIVE
AFFECT_CONFIG = fakelibvirt.VIR_DOMAIN_AFFECT_CONFIG
NO_DOMAIN_METADATA = 80

HOOK_SCRIPT_FAILED = 70

#: The emulator as a careful distribution builds it.
HARDENED = frozenset({'pie', 'nx', 'relro', 'bindnow', 'canary', 'fortify'})

#: where QEMU looks for its modules, as long as nothing hides it
MODULES: program.Fingerprint = (
    ('/usr/lib/qemu', program.Identity(1, 9, 3, 4, 5)),
)


_STRICT = (
    'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'
)


@dataclasses.dataclass
class Machine:
    """What is true on one compute host. May be changed at any time.

    :ivar secmodels: the security drivers of libvirt
    :ivar selinux: enforcing, permissive; None: no such module
    :ivar kernel_context: of the kernel itself, which tells MLS from MCS
    :ivar apparmor: enforce, complain; None: no such module
    :ivar virt_type: of libvirt's domains
    :ivar permissive: the SELinux types that are permissive by themselves
    :ivar hardening: how the emulator was built
    :ivar types: the QOM types that the emulator knows
    :ivar sandbox: whether the emulator was built with seccomp
    :ivar seccomp_sandbox: that option of libvirt
    :ivar options: name of a mechanism -> its options, where this host
        differs from the rest
    :ivar broken: what cannot be measured (``read``, ``capabilities``,
        ``domain_capabilities``, ``native``, ``emulator``) -> what is raised
    :ivar lies: what is read back of a started guest (``security_label``,
        ``process_label``, ``seccomp``, ``executable``, ``modules``,
        ``domain_xml``, the ``uuid`` in its ``arguments`` and the rest of them)
        where it is not as asked; an exception is raised
    :ivar unseen: what the host cannot see of its guests' processes -> why
    :ivar on_start: called with each domain that was just started
    :ivar on_copy: called with each domain that another host sends, while its
        memory is copied
    :ivar on_sent: called with each domain that has arrived at another host,
        before that host has answered so; if it raises libvirt's error, the
        answer is lost
    :ivar calls: what was done to guests, in order
    :ivar measured: how often the emulator was asked for
    """

    secmodels: tuple[str, ...] = ('selinux',)
    selinux: str | None = 'enforcing'
    kernel_context: str = 'system_u:system_r:kernel_t:s0'
    permissive: tuple[str, ...] = ()
    apparmor: str | None = None
    virt_type: str = 'kvm'
    hardening: frozenset[str] = HARDENED
    types: frozenset[str] = frozenset()
    sandbox: bool = True
    seccomp_sandbox: int = -1
    options: dict[str, dict[str, object]] = dataclasses.field(
        default_factory=dict
    )
    broken: dict[str, Exception] = dataclasses.field(default_factory=dict)
    lies: dict[str, object] = dataclasses.field(default_factory=dict)
    on_start: typing.Callable[[typing.Any], None] = lambda domain: None
    on_copy: typing.Callable[[typing.Any], None] = lambda domain: None
    on_sent: typing.Callable[[typing.Any], None] = lambda domain: None
    unseen: dict[sight.Sight, reasons.Reason] = dataclasses.field(
        default_factory=dict
    )
    calls: list[str] = dataclasses.field(default_factory=list)
    measured: int = 0

    @property
    def files(self) -> dict[str, str]:
        """What the kernel says."""
        found = {}
        if self.selinux:
            enforcing = self.selinux == 'enforcing'
            found = {
                '/sys/fs/selinux/enforce': str(int(enforcing)),
                '/sys/fs/selinux/mls': '1',
                '/sys/fs/selinux/initial_contexts/kernel': (
                    self.kernel_context + '\0'
                ),
                '/sys/fs/selinux/class/process/index': '2',
            }
        if self.apparmor:
            parameters = '/sys/module/apparmor/parameters'
            found[f'{parameters}/enabled'] = 'Y\n'
            found[f'{parameters}/mode'] = self.apparmor + '\n'
        return found

    def read(self, path: str) -> str:
        """The text of a file."""
        self.check('read')
        if path not in self.files:
            raise FileNotFoundError(path)
        return self.files[path]

    def ask(self, path: str, question: str) -> str:
        """The kernel's answer about what a context may."""
        self.check('read')
        if path != '/sys/fs/selinux/access' or not self.selinux:
            raise FileNotFoundError(path)
        flags = int(question.split(':')[2] in self.permissive)
        return f'6000165 ffffffff 0 ffffffff 14 {flags}'

    def emulator(self) -> program.Emulator:
        """The emulator, examined."""
        self.measured += 1
        self.check('emulator')
        return program.Emulator(
            '/usr/bin/qemu-kvm',
            '/usr/bin/qemu-kvm',
            self.identity,
            self.hardening,
            self.types,
            self.sandbox,
            MODULES,
        )

    @property
    def identity(self) -> program.Identity:
        """Which file the emulator is: another one if it is built anew."""
        built = hash((self.hardening, self.types, self.sandbox))
        return program.Identity(1, abs(built), 3, 4, 5)

    @property
    def seccomp(self) -> int:
        """The seccomp mode in which libvirt starts the emulator."""
        return 2 if self.sandbox and self.seccomp_sandbox else 0

    @property
    def arguments(self) -> list[str]:
        """The options about seccomp with which libvirt starts it."""
        if not self.sandbox:
            return []
        return ['-sandbox', _STRICT if self.seccomp_sandbox else 'off']

    def check(self, what: str) -> None:
        """Raise if it is broken."""
        if what in self.broken:
            raise self.broken[what]

    def answer(self, question: str, truth: object) -> typing.Any:
        """What is read back of a guest."""
        self.calls.append(question)
        lie = self.lies.get(question, truth)
        if isinstance(lie, Exception):
            raise lie
        return lie


class Domain(fakelibvirt.Domain):
    """A domain that has a process, a label and the XML it was given.

    :ivar xml: the XML of the guest that runs, or of the next one
    :ivar defined: what libvirt keeps for the next start; None: nothing, the
        domain is gone when its guest stops
    :ivar saved: the XML in its save image; None: there is none
    :ivar started: the flags of each start
    :ivar reason: why it is paused, if it is
    """

    def __init__(self, connection, xml, **kwargs):
        self.xml = xml
        self.defined: str | None = xml
        self.saved: str | None = None
        self.machine = connection.machine
        self.started: list[int] = []
        self.reason = PAUSED_USER
        self.notes: dict[str, str] = {}
        self.live_notes: dict[str, str] = {}
        super().__init__(connection, xml, **kwargs)

    @property
    def label(self) -> str:
        """As libvirt labels a guest."""
        if 'selinux' in self.machine.secmodels and self.machine.selinux:
            found = etree.fromstring(self.xml).findtext('seclabel/baselabel')
            low = found or 'system_u:system_r:svirt_t:s0'
            return f'{low}:c{2 * self.pid},c{2 * self.pid + 1}'
        if 'apparmor' in self.machine.secmodels:
            return f'libvirt-{self.UUIDString()}'
        return ''

    @property
    def process_label(self) -> str:
        """As the kernel shows the label of the process."""
        if self.label.startswith('libvirt-'):
            return f'{self.label} ({self.machine.apparmor})\n'
        return self.label + '\0'

    @property
    def enforced(self) -> bool:
        """Whether the label means anything."""
        if 'selinux' in self.machine.secmodels and self.machine.selinux:
            return self.machine.selinux == 'enforcing'
        return self.machine.apparmor == 'enforce'

    def createWithFlags(self, flags):
        self.machine.calls.append(f'createWithFlags({flags})')
        # A save image holds the XML with which the guest was saved.
        xml = self.saved or self.defined
        self.check_models(xml)
        self.started.append(flags)
        super().createWithFlags(flags)
        self.saved = None
        self.begin(xml, bool(flags & PAUSED))

    def check_models(self, xml):
        """libvirt starts no guest under a model that it has no driver of."""
        for model in etree.fromstring(xml).xpath('seclabel/@model'):
            if model not in self.machine.secmodels:
                raise fakelibvirt.libvirtError(
                    f"Security driver model '{model}' is not available"
                )

    def begin(self, xml, paused):
        """There is a process now."""
        self.xml = xml
        self._state = fakelibvirt.VIR_DOMAIN_PAUSED if paused else RUNNING
        self.pid = Processes.current.start(self)
        self.live_notes = dict(self.notes)
        # Nova's fake gives a number to its first start only.
        self._id = self.pid
        self.machine.on_start(self)

    def end(self):
        """There is none any more."""
        Processes.current.end(self)
        self._state = fakelibvirt.VIR_DOMAIN_SHUTOFF
        self._connection._mark_not_running(self)
        if self.defined is not None:
            self.xml = self.defined

    def state(self, flags=0):
        return [self._state, self.reason]

    def isActive(self):
        return int(self._state in (RUNNING, fakelibvirt.VIR_DOMAIN_PAUSED))

    def setMetadata(self, kind, text, key, uri, flags):
        assert kind == ELEMENT
        for notes, flag in (
            (self.notes, AFFECT_CONFIG),
            (self.live_notes, AFFECT_LIVE),
        ):
            if flags & flag:
                notes.pop(uri, None)
                if text is not None:
                    notes[uri] = text

    def metadata(self, kind, uri, flags):
        assert (kind, flags) == (ELEMENT, AFFECT_CONFIG)
        if uri not in self.notes:
            raise fakelibvirt.make_libvirtError(
                fakelibvirt.libvirtError,
                'no metadata',
                error_code=NO_DOMAIN_METADATA,
            )
        return self.notes[uri]

    def isPersistent(self):
        return int(self.defined is not None)

    def suspend(self):
        self.machine.calls.append('suspend')
        super().suspend()

    def resume(self):
        self.machine.calls.append('resume')
        super().resume()

    def destroy(self):
        self.machine.calls.append('destroy')
        self.end()

    def shutdown(self):
        self.machine.calls.append('shutdown')
        self.end()

    def undefine(self):
        self.machine.calls.append('undefine')
        self.defined = None
        self._transient = True
        # The guest runs on.
        if not self.isActive():
            super().undefine()

    def managedSave(self, flags):
        self.machine.calls.append('managedSave')
        self.saved = self.xml
        self.end()

    def managedSaveRemove(self, flags=0):
        self.saved = None

    def hasManagedSaveImage(self, flags):
        return int(self.saved is not None)

    def migrateToURI3(self, dconnuri, params, flags):
        self.machine.calls.append(f'migrateToURI3({flags})')
        there = Connection.of_host[urllib.parse.urlsplit(dconnuri).hostname]
        before = self._state
        paused = bool(flags & MIGRATE_PAUSED) or before != RUNNING
        there.receive(params['destination_xml'], paused)
        self._state = fakelibvirt.VIR_DOMAIN_PAUSED
        try:
            self.machine.on_sent(self)
        except fakelibvirt.libvirtError:
            # For libvirt the migration has failed.
            self._state = before
            self.fail_job()
            raise
        self.defined = None
        self._transient = True
        self.end()
        self.complete_job()

    def securityLabel(self):
        return self.machine.answer(
            'security_label', [self.label, self.enforced]
        )

    def XMLDesc(self, flags):
        desc = etree.fromstring(super().XMLDesc(flags))
        inactive = flags & fakelibvirt.VIR_DOMAIN_XML_INACTIVE
        given = etree.fromstring((inactive and self.defined) or self.xml)
        desc.set('type', self.machine.virt_type)
        desc.extend(given.findall('metadata') + given.findall('seclabel'))
        text = etree.tostring(desc, encoding='unicode')
        return self.machine.answer('domain_xml', text)


class Connection(fakelibvirt.Connection):
    """The libvirtd of one machine.

    :ivar defined: the XML of each domain that was defined
    """

    #: those of the running test
    of_host: typing.ClassVar[dict[str, 'Connection']] = {}
    domain_class = Domain

    def __init__(self, machine: Machine, **kwargs):
        self.machine = machine
        super().__init__('qemu:///system', **kwargs)
        self.defined: list[str] = []
        self.of_host[self.hostname] = self

    def defineXML(self, xml):
        self.defined.append(xml)
        domain = self.domain_class(self, xml)
        before = self._vms.get(domain.name())
        if before is not None:
            domain.saved = before.saved
            if before.isActive():
                # The guest that runs stays as it is.
                before.defined, before._transient = xml, False
                before.notes.clear()
                return before
        self._vms[domain.name()] = domain
        self._emit_lifecycle(domain, fakelibvirt.VIR_DOMAIN_EVENT_DEFINED, 0)
        return domain

    def receive(self, xml: str, paused: bool) -> None:
        """A guest arrives from another host."""
        self.machine.calls.append(f'receive(paused={paused})')
        domain = self.domain_class(self, xml)
        domain.check_models(xml)
        self._vms[domain.name()] = domain
        domain.reason = PAUSED_MIGRATION
        domain.begin(xml, True)
        self._mark_running(domain)
        self.machine.on_copy(domain)
        domain.reason = PAUSED_USER
        if paused:
            event = fakelibvirt.VIR_DOMAIN_EVENT_SUSPENDED
        else:
            event = fakelibvirt.VIR_DOMAIN_EVENT_RESUMED
            domain._state = RUNNING
        self._emit_lifecycle(domain, event, 0)

    def getCapabilities(self):
        self.machine.check('capabilities')
        root = etree.fromstring(super().getCapabilities())
        host = root.find('host')
        for old in host.findall('secmodel'):
            host.remove(old)
        for name in (*self.machine.secmodels, 'dac'):
            model = etree.SubElement(host, 'secmodel')
            etree.SubElement(model, 'model').text = name
            etree.SubElement(model, 'doi').text = '0'
            if name == 'selinux':
                for kind in ('kvm', 'qemu'):
                    label = etree.SubElement(model, 'baselabel', type=kind)
                    label.text = 'system_u:system_r:svirt_t:s0'
        return etree.tostring(root, encoding='unicode')

    def domainXMLToNative(self, kind, xml, flags):
        assert kind == 'qemu-argv', kind
        self.machine.check('native')
        path = etree.fromstring(xml).findtext('devices/emulator')
        return shlex.join(['LC_ALL=C', path, *self.machine.arguments])

    def getDomainCapabilities(self, binary, arch, machine, virt_type, flags):
        # Nova always names an architecture, we let libvirt choose.
        if arch is None:
            self.machine.check('domain_capabilities')
        text = super().getDomainCapabilities(
            binary, arch or 'x86_64', machine, virt_type, flags
        )
        return text.replace(
            '<domain>kvm</domain>',
            f'<domain>{self.machine.virt_type}</domain>',
        )


class Processes:
    """The emulators that run, as /proc and libvirt's pid files show them."""

    #: those of the running test
    current: typing.ClassVar['Processes']

    def __init__(self) -> None:
        self._domains: dict[int, Domain] = {}
        self._last = 100

    def start(self, domain: Domain) -> int:
        """A domain was started; returns its process id."""
        self._last += 1
        self._domains[self._last] = domain
        return self._last

    def end(self, domain: Domain) -> None:
        """A domain was stopped."""
        self._domains = {
            pid: one for pid, one in self._domains.items() if one is not domain
        }

    def read(self, path: str) -> str:
        """In place of privileged.read."""
        # While a guest migrates it has a process on both hosts, and is looked
        # at where it arrives.
        for pid, domain in reversed(self._domains.items()):
            if path == f'{RUN_DIR}/{domain.name()}.pid':
                return f'{pid}\n'
        if path == '/proc/sys/kernel/random/boot_id':
            return '00000000-0000-4000-8000-00000000b007\n'
        raise FileNotFoundError(path)

    def read_process(self, pid: int, name: str, proc: str = '/proc') -> str:
        """In place of privileged.read_process."""
        if pid not in self._domains:
            raise FileNotFoundError(f'{proc}/{pid}/{name}')
        if name == 'stat':
            return f'{pid} (qemu-kvm) S ' + ' '.join(map(str, range(4, 30)))
        return _proc(self._domains[pid], name)

    def executable(self, pid: int, proc: str = '/proc') -> program.Identity:
        """In place of privileged.executable."""
        machine = self._domains[pid].machine
        return machine.answer('executable', machine.identity)

    def identities(
        self, pid: int, paths: typing.Sequence[str], proc: str = '/proc'
    ) -> program.Fingerprint:
        """In place of privileged.identities."""
        machine = self._domains[pid].machine
        found = dict(machine.answer('modules', MODULES))
        return tuple((path, found.get(path)) for path in paths)


def _proc(domain: Domain, name: str) -> str:
    """The text of a file in the /proc of a process."""
    machine = domain.machine
    if name == 'cmdline':
        uuid = machine.lies.get('uuid', domain.UUIDString())
        arguments = machine.lies.get('arguments', machine.arguments)
        return '\0'.join(['qemu-kvm', '-uuid', uuid, *arguments, ''])
    if name == 'attr/current':
        return machine.answer('process_label', domain.process_label)
    if name == 'status':
        mode = machine.answer('seccomp', machine.seccomp)
        return f'Name:\tqemu-kvm\nSeccomp:\t{mode}\n'
    raise FileNotFoundError(name)


class IsolationFixture(fixtures.Fixture):
    """Puts the fakes in the place of the kernel and libvirt.

    The seams: what ComputeHost reads and examines,
    what privileged.py reads of processes. Everything between is ours.
    """

    def _setUp(self) -> None:
        Processes.current = Processes()
        Connection.of_host.clear()
        host = 'nova_isolation.host.compute_host.ComputeHost'
        for target, fake in (
            (f'{host}.read', _host_read),
            (f'{host}.ask', _host_ask),
            (f'{host}.emulator', _host_emulator),
            (f'{host}.unseen', _host_unseen),
            (f'{host}.options', _host_options),
            (
                'nova_isolation.host.privileged.read',
                Processes.current.read,
            ),
            (
                'nova_isolation.host.privileged.executable',
                Processes.current.executable,
            ),
            (
                'nova_isolation.host.privileged.identities',
                Processes.current.identities,
            ),
            (
                'nova_isolation.host.privileged.read_process',
                Processes.current.read_process,
            ),
            # Nova gives up at once here.
            ('nova_isolation.virt.sinks.late_fault._INTERVAL', 0.02),
        ):
            self.useFixture(fixtures.MonkeyPatch(target, fake))
        # Nova does not use it, so its fake does not have it.
        for name, value in (
            ('VIR_MIGRATE_PAUSED', MIGRATE_PAUSED),
            ('VIR_DOMAIN_PAUSED_USER', PAUSED_USER),
            ('VIR_DOMAIN_PAUSED_MIGRATION', PAUSED_MIGRATION),
            ('VIR_ERR_NO_DOMAIN_METADATA', NO_DOMAIN_METADATA),
            ('VIR_ERR_HOOK_SCRIPT_FAILED', HOOK_SCRIPT_FAILED),
        ):
            setattr(fakelibvirt, name, value)
            self.addCleanup(delattr, fakelibvirt, name)
        # What Nova's LibvirtFixture gives to Nova's modules, for ours, which
        # import it when they need it.
        before = sys.modules.get('libvirt')
        sys.modules['libvirt'] = fakelibvirt
        self.addCleanup(_restore_libvirt, before)


def _restore_libvirt(before: types.ModuleType | None) -> None:
    del sys.modules['libvirt']
    if before is not None:
        sys.modules['libvirt'] = before


def _machine(host: compute_host.ComputeHost) -> Machine:
    return host._libvirt.get_connection().machine


def _host_read(host: compute_host.ComputeHost, path: str) -> str:
    return _machine(host).read(path)


def _host_ask(host: compute_host.ComputeHost, path: str, question: str) -> str:
    return _machine(host).ask(path, question)


def _host_emulator(host: compute_host.ComputeHost) -> program.Emulator:
    return _machine(host).emulator()


def _host_unseen(host: compute_host.ComputeHost) -> dict:
    try:
        return dict(_machine(host).unseen)
    except (fakelibvirt.libvirtError, nova_exception.HypervisorUnavailable):
        # /proc shows what it shows without a connection to libvirt.
        return {}


def _host_options(
    host: compute_host.ComputeHost, mechanism: str
) -> types.SimpleNamespace:
    group = host._conf[base.option_group(mechanism)]
    common = {name: group[name] for name in group}
    return types.SimpleNamespace(
        **common | _machine(host).options.get(mechanism, {})
    )
