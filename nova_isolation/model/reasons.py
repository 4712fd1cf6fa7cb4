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

"""The reason codes of a refusal, what each means and what the admin can do.

A code is stable: tools and alerts may rely on it. A code never gets another
meaning and is never reused. A code reads ``isolation.<area>.<what is wrong>``.
The area is ``spec`` for the flavor, ``facts`` for the host's document as a
whole, ``host`` for the other guests of the host, its mode and what it can see,
``verify`` for the started
guest and ``mechanism`` for this software itself. Every other area is the name
of the mechanism whose requirement is not met; those codes are defined in the
package of the mechanism
(:attr:`nova_isolation.mechanisms.base.Mechanism.own_reasons`).
"""

from collections.abc import Mapping
import dataclasses
import re
import types

from nova_isolation.model import printable

_CODE = re.compile(r'isolation(\.[a-z][a-z0-9_]*){2}')


@dataclasses.dataclass(frozen=True)
class Reason:
    """One way in which a guest or a host can fail a requirement.

    :ivar code: the stable identifier, ``isolation.<area>.<what>``
    :ivar meaning: what is wrong, in one sentence
    :ivar remedy: what the admin can do, in one or two sentences
    :ivar uncertain: whether the code says that something could not be found
        out, rather than that it was found to be wrong. A running guest is
        reported as violating its requirements only when an uncertain reason
        is found twice in a row.
    :ivar blind: whether the code says that the host itself cannot look, for a
        cause that no guest can bring about. Such a reason is uncertain, and a
        running guest is never reported for it.
    :ivar same_as: the code of a reason that reports the same event later, or
        an empty string. A change from one to the other is not a new
        violation of a running guest.
    :ivar public: whether the owner of the server may read what was wanted
        and what was found. Only where that is always about the flavor, the
        image or the server itself. Whatever says something about a host,
        its admin's rules, a third party or another guest is for admins. The
        owner always reads the extra spec and the code.
    """

    code: str
    meaning: str
    remedy: str
    uncertain: bool = False
    same_as: str = ''
    public: bool = False
    blind: bool = False

    def __post_init__(self) -> None:
        if not _CODE.fullmatch(self.code):
            raise ValueError(f'not a reason code: {self.code!r}')
        if self.blind and not self.uncertain:
            raise ValueError(f'{self.code} is blind but not uncertain')

    @property
    def area(self) -> str:
        """The second part of the code."""
        return self.code.split('.')[1]


@dataclasses.dataclass(frozen=True)
class Unmet:
    """One requirement that is not met.

    :ivar code: the reason code
    :ivar key: the extra spec, or '' where the refusal is about the host's
        facts as a whole
    :ivar wanted: what the flavor asks for, one printable line
    :ivar found: what was found instead, one printable line
    """

    code: str
    key: str
    wanted: str
    found: str

    def __post_init__(self) -> None:
        # Here for all: whoever found it may have it from another host.
        for name in ('wanted', 'found'):
            text = printable.one_line(getattr(self, name))
            object.__setattr__(self, name, text)

    def __str__(self) -> str:
        key = printable.one_line(self.key)
        subject = f'{key}: ' if key else ''
        return (
            f'{subject}wanted {self.wanted}, found {self.found} [{self.code}]'
        )


def defined_in(namespace: Mapping[str, object]) -> tuple[Reason, ...]:
    """Return the reasons that a module defines, in the order of definition.

    :param namespace: the module's ``vars()``
    """
    found = list(namespace.values())
    return tuple(value for value in found if isinstance(value, Reason))


SPEC_UNKNOWN = Reason(
    'isolation.spec.unknown',
    'The flavor has an extra spec in the isolation namespace that no loaded '
    'mechanism owns.',
    'Correct the name, or remove it from the flavor. If a third-party '
    'mechanism owns it, install that package on every controller and compute '
    'host.',
    public=True,
)
SPEC_RESERVED = Reason(
    'isolation.spec.reserved',
    'The extra spec belongs to a feature that this release does not have.',
    'Remove it from the flavor until a release that enforces it.',
    public=True,
)
SPEC_INVALID = Reason(
    'isolation.spec.invalid_value',
    'The value of the extra spec is empty or is not a defined value.',
    'Set one of the values that the message names. The words of a list are '
    'separated by commas without blanks.',
    public=True,
)
SPEC_CONFLICT = Reason(
    'isolation.spec.conflict',
    'Two extra specs of the flavor contradict each other, so no host could '
    'ever meet both.',
    'Change or remove one of the two that the message names.',
    public=True,
)
MECHANISM_UNAVAILABLE = Reason(
    'isolation.mechanism.unavailable',
    'The mechanism that owns the extra spec failed to load in the service '
    'that decided.',
    'Look for "failed to load" in the log of that service, fix the '
    'installation and restart the service.',
    uncertain=True,
)
MECHANISM_FAILED = Reason(
    'isolation.mechanism.failed',
    'A mechanism raised an unexpected error while it decided about the host '
    "or changed the guest's XML.",
    'This is a defect of the mechanism. Report the defect with the traceback '
    'from the log of the service.',
    uncertain=True,
)
FACTS_MISSING = Reason(
    'isolation.facts.missing',
    'The host has published no facts about itself.',
    'Run nova-compute on the host with compute_driver = '
    'isolation.IsolationDriver and look for failed probes in its log.',
    uncertain=True,
)
FACTS_STALE = Reason(
    'isolation.facts.stale',
    'The facts are older than [isolation] facts_max_age, so they may no '
    'longer be true.',
    'Check that nova-compute runs on the host and that its periodic '
    'update_available_resource succeeds.',
)
FACTS_FUTURE = Reason(
    'isolation.facts.from_the_future',
    'The facts are dated in the future by more than [isolation] clock_skew.',
    'Synchronise the clocks of the controllers and the compute host.',
)
FACTS_MALFORMED = Reason(
    'isolation.facts.malformed',
    'The facts, or the part of them that the requirement needs, are '
    'malformed, or are those of another release of nova-isolation.',
    'Install on the host the release of nova-isolation that the controllers '
    'have, and restart its nova-compute. If the code appears again, other '
    'software writes to the stats of the compute node.',
)
FACTS_NEWER = Reason(
    'isolation.facts.newer_schema',
    'The facts have a newer schema than the service that decides can read.',
    'Upgrade nova-isolation on the controllers before the compute hosts.',
)
HOST_VIOLATED = Reason(
    'isolation.host.violated',
    'A guest that runs on the host is not confined as its flavor asks, so '
    'the host accepts no new guest that needs the same confinement.',
    'Look for isolation_reverify among the events of the guests of the host '
    'or in the log of its nova-compute. Fix, hard reboot or migrate the '
    'guest that is named there.',
)
HOST_AUDITS = Reason(
    'isolation.host.audits',
    'The host runs in audit mode, or published no mode: it would run the '
    'guest whatever it finds. Services that enforce do not use it for tagged '
    'guests.',
    'Set [isolation] mode = enforce on the host and restart its '
    'nova-compute, or choose another host.',
)
NO_HELPER = Reason(
    'isolation.host.no_helper',
    'nova-compute cannot start its privileged helper (privsep), so the host '
    "cannot see which program a guest's process runs.",
    'The log of nova-compute has the words of sudo or rootwrap. Allow the '
    'user of nova-compute to run nova-rootwrap by sudo, without a password, '
    'or set [nova_isolation_privileged] helper_command.',
    uncertain=True,
    blind=True,
)
HELPER_LOST = Reason(
    'isolation.host.helper_lost',
    'The privileged helper (privsep) of nova-compute was killed or does not '
    'answer.',
    'Look in the log of the host for what ends the helper, for example the '
    'OOM killer or a limit of the service. nova-compute starts the helper '
    'again by itself.',
    uncertain=True,
    blind=True,
)
HELPER_DENIED = Reason(
    'isolation.host.helper_denied',
    'The privileged helper (privsep) of nova-compute runs, but the kernel '
    "does not let it see the process of libvirt's daemon.",
    'The helper needs the capabilities CAP_SYS_PTRACE and '
    'CAP_DAC_READ_SEARCH, also in the container or unit of nova-compute. '
    'Look for denials of SELinux or AppArmor.',
    uncertain=True,
    blind=True,
)
HIDEPID = Reason(
    'isolation.host.hidepid',
    'The /proc that nova-compute sees is mounted with hidepid, and '
    'nova-compute has no privileged helper that sees the processes of others.',
    'Mend the privileged helper (isolation.host.no_helper says how), or mount '
    '/proc without hidepid, or with a gid= of which nova-compute is a member.',
    uncertain=True,
    blind=True,
)
PID_NAMESPACE = Reason(
    'isolation.host.pid_namespace',
    'nova-compute runs in a PID namespace of its own, so it sees no process '
    'of libvirt or of a guest.',
    "Run the container of nova-compute in the host's PID namespace (pid: "
    "host, pid_mode: host, hostPID: true), or mount the host's /proc and name "
    'the folder in [isolation] process_root.',
    uncertain=True,
    blind=True,
)
LIBVIRT_UNSEEN = Reason(
    'isolation.host.libvirt_unseen',
    "nova-compute sees no process of libvirt's daemon (virtqemud or libvirtd) "
    'in /proc, so it cannot tell whether it would see that of a guest.',
    'Run nova-compute on the host of libvirt and in the same PID namespace, '
    'with the /proc of that namespace.',
    uncertain=True,
    blind=True,
)
PID_FILES = Reason(
    'isolation.host.pid_files',
    'nova-compute does not see the folder in which libvirt keeps the pid '
    'files of its guests, or the folder lacks driver.pid, that of its daemon.',
    "Set [isolation] qemu_run_dir to the folder of libvirt's DOMAIN.pid files "
    'and mount it into the container of nova-compute.',
    uncertain=True,
    blind=True,
)
GUESTS_UNSEEN = Reason(
    'isolation.host.guests_unseen',
    "The host sees the process of libvirt's daemon, but none of the guests "
    'that run.',
    'Look for denials of SELinux or AppArmor about nova-compute, and compare '
    '[isolation] qemu_run_dir with the folder of libvirt that holds the '
    'DOMAIN.pid files.',
    uncertain=True,
)
READS_HANG = Reason(
    'isolation.host.reads_hang',
    'So many reads of the host hang that nova-compute, which runs on '
    'eventlet, begins no other.',
    'Look for processes in an uninterruptible sleep (state D in ps) and for '
    'file systems whose server is away. When they are gone, nova-compute '
    'reads again by itself.',
    uncertain=True,
)
EMULATOR_UNSEEN = Reason(
    'isolation.host.emulator_unseen',
    'nova-compute cannot read the emulator that libvirt starts.',
    "It is read in libvirt's root folder: see [isolation] libvirt_root, and "
    'let the user of nova-compute read the file that the log names.',
    uncertain=True,
    blind=True,
)
UNEXAMINED = Reason(
    'isolation.host.unexamined',
    'The host could not find out whether it can see the processes of its '
    'guests.',
    'The log of nova-compute has the error.',
    uncertain=True,
    blind=True,
)
EVIDENCE_MISSING = Reason(
    'isolation.facts.no_evidence',
    'The requirement needs evidence from a third party, and there is no '
    'evidence about this host.',
    'Set [isolation_attestation] provider for the service that decided, and '
    'look into the log of that service.',
    uncertain=True,
)
VERIFY_FAILED = Reason(
    'isolation.verify.failed',
    'The started guest could not be examined, so its confinement is not '
    'proven.',
    'The message names what could not be read; the log of nova-compute has '
    'the traceback.',
    uncertain=True,
)
VERIFY_INTERRUPTED = Reason(
    'isolation.verify.interrupted',
    'nova-compute stopped after it had started the guest paused and before '
    'it had verified the guest. The guest was powered off when nova-compute '
    'started again.',
    'Start the server again, or delete the server if it was being created.',
    public=True,
)

VERIFY_HOOK = Reason(
    'isolation.verify.hook',
    'The libvirt hook of the host did not let the guest start, although '
    'nova-compute did.',
    'The message has the words of the hook. Run nova-isolation-hook status on '
    'the host: the hook may use another installation than nova-compute.',
)
SELF_REBOOT = Reason(
    'isolation.verify.self_reboot',
    'If this guest of Xen reboots itself, powers itself off or crashes, '
    'libvirt starts another domain for it, which runs unverified.',
    'Reboot the server hard, so that Nova defines its domain anew. Do not '
    'change on_reboot, on_poweroff and on_crash of the domain.',
)
VERIFY_NO_PROCESS = Reason(
    'isolation.verify.no_process',
    'The started guest has no process of its own on the host, so a '
    'requirement on the process cannot be verified.',
    'Remove the extra spec from flavors for hypervisors that run guests '
    'without a process, or use a hypervisor that runs each guest as a '
    'process.',
)

#: Code -> Reason, for the areas that no mechanism owns.
REASONS = types.MappingProxyType({r.code: r for r in defined_in(vars())})
