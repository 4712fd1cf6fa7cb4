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

A code is stable: tools and alerts may rely on it. It is never given another
meaning and never reused. It reads ``isolation.<area>.<what is wrong>``; the
area is ``spec`` for the flavor, ``facts`` for the host's document as a whole,
``host`` for the other guests of the host, ``verify`` for the started guest,
``mechanism`` for this software itself, else the name of the mechanism whose
requirement is not met.

Mechanisms of other packages bring their own :class:`Reason` objects
(:attr:`nova_isolation.mechanisms.base.Mechanism.own_reasons`).
"""

import dataclasses
import re
import types

_CODE = re.compile(r'isolation(\.[a-z][a-z0-9_]*){2}')


@dataclasses.dataclass(frozen=True)
class Reason:
    """One way in which a guest or a host can fall short.

    :ivar code: the stable identifier, ``isolation.<area>.<what>``
    :ivar meaning: what is the case, one sentence
    :ivar remedy: what the admin can do about it, one or two sentences
    """

    code: str
    meaning: str
    remedy: str

    def __post_init__(self) -> None:
        if not _CODE.fullmatch(self.code):
            raise ValueError(f'not a reason code: {self.code!r}')


@dataclasses.dataclass(frozen=True)
class Unmet:
    """One requirement that is not met.

    :ivar code: the reason code
    :ivar key: the extra spec, or '' where the refusal is about the host's
        facts as a whole
    :ivar wanted: what the flavor asks for
    :ivar found: what there is instead
    """

    code: str
    key: str
    wanted: str
    found: str

    def __str__(self) -> str:
        subject = f'{self.key}: ' if self.key else ''
        return (
            f'{subject}wanted {self.wanted}, found {self.found} [{self.code}]'
        )


SPEC_UNKNOWN = Reason(
    'isolation.spec.unknown',
    'The flavor has an extra spec in the isolation namespace that no loaded '
    'mechanism owns.',
    'Correct the name, or remove it from the flavor. If a third-party '
    'mechanism owns it, install that package on every controller and compute '
    'host.',
)
SPEC_RESERVED = Reason(
    'isolation.spec.reserved',
    'The extra spec belongs to a feature that this release does not have.',
    'Remove it from the flavor until a release that enforces it.',
)
SPEC_INVALID = Reason(
    'isolation.spec.invalid_value',
    'The value of the extra spec is empty or not one that is defined.',
    'Set one of the values that the message names. Lists are separated by '
    'commas without blanks.',
)
SPEC_CONFLICT = Reason(
    'isolation.spec.conflict',
    'Two extra specs of the flavor contradict each other, so no host could '
    'ever meet both.',
    'Change or remove one of the two that the message names.',
)
MECHANISM_UNAVAILABLE = Reason(
    'isolation.mechanism.unavailable',
    'The mechanism that owns the extra spec failed to load in the service '
    'that decided.',
    'Look for "failed to load" in the log of that service, mend the '
    'installation and restart it.',
)
MECHANISM_FAILED = Reason(
    'isolation.mechanism.failed',
    'A mechanism raised an unforeseen error while it judged the host or '
    "wrote the guest's XML.",
    'This is a defect: report it with the traceback in the log of the '
    'service.',
)
FACTS_MISSING = Reason(
    'isolation.facts.missing',
    'The host has published no facts about itself.',
    'Run nova-compute there with compute_driver = isolation.IsolationDriver '
    'and look into its log for probes that failed.',
)
FACTS_STALE = Reason(
    'isolation.facts.stale',
    'The facts are older than [isolation] facts_max_age, so nobody knows '
    'whether they still hold.',
    'Check that nova-compute runs on the host and that its periodic '
    'update_available_resource succeeds.',
)
FACTS_FUTURE = Reason(
    'isolation.facts.from_the_future',
    'The facts claim to be measured later than now, by more than '
    '[isolation] clock_skew.',
    'Synchronise the clocks of the controllers and the compute host.',
)
FACTS_MALFORMED = Reason(
    'isolation.facts.malformed',
    'The facts, or the part of them that the requirement needs, cannot be '
    'understood.',
    'Restart nova-compute on the host. If the code stays, some other '
    'software writes to the stats of the compute node.',
)
FACTS_NEWER = Reason(
    'isolation.facts.newer_schema',
    'The facts have a newer schema than the service that decides knows.',
    'Upgrade nova-isolation on the controllers before the compute hosts.',
)
HOST_VIOLATED = Reason(
    'isolation.host.violated',
    'A guest that runs on the host is not confined as its flavor asks, so '
    'the host offers that confinement to no new guest.',
    'Look for isolation_reverify among the events of the guests of the host '
    'or in the log of its nova-compute. Mend, hard reboot or migrate the '
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
EVIDENCE_MISSING = Reason(
    'isolation.facts.no_evidence',
    'The requirement is judged by evidence of a third party, and there is '
    'none for this host.',
    'Set [isolation_attestation] provider for the service that decided, and '
    'look into its log.',
)
VERIFY_FAILED = Reason(
    'isolation.verify.failed',
    'The started guest could not be examined, so nothing is proven about it.',
    'The message names what could not be read; the log of nova-compute has '
    'the traceback.',
)
VERIFY_INTERRUPTED = Reason(
    'isolation.verify.interrupted',
    'nova-compute ended after it had started the guest paused and before it '
    'had verified it. The guest was powered off when nova-compute came back.',
    'Start the server again, or delete it if it was being created.',
)
HYPERVISOR_UNKNOWN = Reason(
    'isolation.hypervisor.unknown',
    'The host could not tell which hypervisor it runs.',
    'Look for the failed probe in the log of nova-compute.',
)
HYPERVISOR_OTHER = Reason(
    'isolation.hypervisor.other',
    'The host runs another hypervisor than the flavor allows.',
    'Use a host with one of the wanted hypervisors ([libvirt] virt_type), or '
    'widen the list in the flavor.',
)
CERTIFICATION_UNKNOWN = Reason(
    'isolation.certification.unknown',
    'The host could not measure what its certifications presuppose.',
    'Look for the failed probe in the log of nova-compute.',
)
CERTIFICATION_UNDECLARED = Reason(
    'isolation.certification.undeclared',
    'The host does not declare the certification.',
    'If the host is certified, add the name to [isolation] certifications '
    'in its nova.conf.',
)
CERTIFICATION_PRECONDITION = Reason(
    'isolation.certification.precondition',
    'The host declares the certification, but is not in the state that the '
    'certification presupposes.',
    'Restore the named precondition on the host.',
)
SVIRT_UNKNOWN = Reason(
    'isolation.svirt.unknown',
    'The host could not tell how libvirt confines guests.',
    'Look for the failed probe in the log of nova-compute.',
)
SVIRT_NO_MODEL = Reason(
    'isolation.svirt.no_model',
    'libvirt on the host does not confine guests with the wanted security '
    'model.',
    'Boot a kernel with that security module and set security_driver in '
    "libvirt's qemu.conf.",
)
SVIRT_NOT_ENFORCING = Reason(
    'isolation.svirt.not_enforcing',
    'The security module is there but only records what it would deny.',
    'setenforce 1 and SELINUX=enforcing, or aa-enforce the profiles of '
    'libvirt.',
)
SVIRT_TYPE = Reason(
    'isolation.svirt.type_not_allowed',
    'The SELinux type is not among those that the host gives to guests, or '
    'the host does not confine guests by SELinux at all.',
    'Load the policy module that has the type on the host, then add the '
    'type to [isolation] svirt_types there.',
)
SVIRT_DEFINITION = Reason(
    'isolation.svirt.wrong_definition',
    "The <seclabel> of the guest's XML is not the one that makes libvirt "
    'confine the guest as its flavor asks: the XML is older than the extra '
    'specs, or was changed by others than Nova.',
    'Let Nova write it anew: openstack server reboot --hard SERVER. Do not '
    'start or change guests of Nova with virsh.',
)
SVIRT_LABEL = Reason(
    'isolation.svirt.wrong_label',
    'The started guest does not carry the label that it should have.',
    "Compare the label in the message with libvirt's log of the guest and "
    'with the SELinux policy of the host.',
)
SVIRT_CLASH = Reason(
    'isolation.svirt.category_clash',
    'The MCS categories of another running guest of the host include those '
    'of this one, or the other way round, so one could reach the other.',
    'Do not give guests static labels; restart the guest that was not '
    'started by Nova.',
)
QEMU_UNKNOWN = Reason(
    'isolation.qemu.unknown',
    'The host could not examine its emulator.',
    'Look for the failed probe in the log of nova-compute.',
)
QEMU_NOT_HARDENED = Reason(
    'isolation.qemu.not_hardened',
    'The emulator was built without a hardening that the flavor asks for.',
    'Install an emulator that was built with it.',
)
QEMU_NO_SANDBOX = Reason(
    'isolation.qemu.no_sandbox',
    'QEMU does not run under its seccomp filter on the host.',
    'Use a QEMU with seccomp and do not set seccomp_sandbox = 0 in '
    "libvirt's qemu.conf.",
)
QEMU_PRESENT = Reason(
    'isolation.qemu.component_present',
    'The emulator contains a component that the flavor wants absent.',
    'Install an emulator that was built without the component.',
)
QEMU_BINARY = Reason(
    'isolation.qemu.other_binary',
    'The started guest runs another program than the emulator that was '
    'measured.',
    'Check [libvirt] of nova.conf and the emulator path of libvirt; an '
    'upgrade of QEMU is measured anew within a minute.',
)
ATTESTED_UNKNOWN = Reason(
    'isolation.attested.unknown_host',
    'No verifier knows an agent of the host.',
    'Enrol the host with the verifier, and see that [isolation_attestation] '
    'host_map names its agent where the verifiers are asked.',
)
ATTESTED_AMBIGUOUS = Reason(
    'isolation.attested.ambiguous',
    'Nobody can say which agent is the one of this host: the host has two, '
    'or the agent is mapped to two hosts or enrolled with two verifiers.',
    'Make [isolation_attestation] host_map one to one; the log of the service '
    'that asks the verifiers names the twins.',
)
ATTESTED_PENDING = Reason(
    'isolation.attested.pending',
    'The verifier has no verdict about the host, or none that can be '
    'understood.',
    'Wait for its first good quote; keylime_tenant -c status tells how far '
    'it is. After a restart of the verifier each host is pending for a '
    'moment.',
)
ATTESTED_FAILED = Reason(
    'isolation.attested.failed',
    'The verifier judged the host as not what its policy approves of, or '
    'could no longer reach its agent.',
    'Find out what was launched or what died there before you trust the host '
    'again. Then: keylime_tenant -c reactivate -u AGENT.',
)
ATTESTED_REVOKED = Reason(
    'isolation.attested.revoked',
    'The verifier has called to say that the host is no longer to be '
    'trusted, and has found it good never since.',
    'As for isolation.attested.failed; a newer good quote ends it.',
)
ATTESTED_STALE = Reason(
    'isolation.attested.stale',
    'The last good quote of the host is older than isolation:attested_max_age '
    'or [isolation_attestation] max_age.',
    'Check that the verifier runs, that the agent on the host does, and that '
    'the service that asks the verifier reaches it.',
)
ATTESTED_FUTURE = Reason(
    'isolation.attested.from_the_future',
    'The last good quote claims to be later than now, by more than '
    '[isolation_attestation] clock_skew.',
    'Synchronise the clocks of the verifier and of the service that decides.',
)
ATTESTED_NOT_JUDGED = Reason(
    'isolation.attested.pcr_not_judged',
    "The verifier's policy for the host does not judge the PCR, so a good "
    'quote says nothing about it.',
    'Enrol the host with a policy for the PCR: keylime_tenant -c update '
    '--tpm_policy.',
)
ATTESTED_NEVER_LAUNCHED = Reason(
    'isolation.attested.never_launched',
    "The verifier's policy for the host approves of the value that the PCR "
    'has before any launch was measured.',
    'Take the value of a host that was launched as it should be; all ones '
    'means that no measured launch took place.',
)
ATTESTED_NO_BOOT = Reason(
    'isolation.attested.no_boot',
    'The verifier judges no measured boot of the host.',
    'Enrol the host with a reference state: keylime_tenant --mb-policy.',
)
ATTESTED_NO_RUNTIME = Reason(
    'isolation.attested.no_runtime',
    'The verifier judges no run-time integrity of the host.',
    'Enrol the host with a run-time policy: keylime_tenant --runtime-policy.',
)

#: code -> Reason, of this distribution
REASONS = types.MappingProxyType(
    {r.code: r for r in list(vars().values()) if isinstance(r, Reason)}
)
