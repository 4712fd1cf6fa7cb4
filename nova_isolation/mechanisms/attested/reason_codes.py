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

"""The reason codes of the mechanism attested."""

from nova_isolation.model import reasons

UNKNOWN = reasons.Reason(
    'isolation.attested.unknown_host',
    'No verifier knows an agent of the host.',
    'Enrol the host with the verifier, and see that [isolation_attestation] '
    'host_map names its agent where the verifiers are asked.',
    uncertain=True,
)
AMBIGUOUS = reasons.Reason(
    'isolation.attested.ambiguous',
    'Nobody can say which agent is the one of this host: the host has two, '
    'or the agent is mapped to two hosts or enrolled with two verifiers.',
    'Make [isolation_attestation] host_map one to one; the log of the service '
    'that asks the verifiers names the twins.',
)
PENDING = reasons.Reason(
    'isolation.attested.pending',
    'The verifier has no verdict about the host, or none that can be '
    'understood.',
    'Wait for its first good quote; keylime_tenant -c status tells how far '
    'it is. After a restart of the verifier each host is pending for a '
    'moment.',
    uncertain=True,
)
FAILED = reasons.Reason(
    'isolation.attested.failed',
    'The verifier judged the host as not what its policy approves of, or '
    'could no longer reach its agent.',
    'Find out what was launched or what died there before you trust the host '
    'again. Then: keylime_tenant -c reactivate -u AGENT.',
)
REVOKED = reasons.Reason(
    'isolation.attested.revoked',
    'The verifier has called to say that the host is no longer to be '
    'trusted, and has found it good never since.',
    'As for isolation.attested.failed; a newer good quote ends it.',
    same_as=FAILED.code,
)
STALE = reasons.Reason(
    'isolation.attested.stale',
    'The last good quote of the host is older than isolation:attested_max_age '
    'or [isolation_attestation] max_age.',
    'Check that the verifier runs, that the agent on the host does, and that '
    'the service that asks the verifier reaches it.',
    uncertain=True,
)
FUTURE = reasons.Reason(
    'isolation.attested.from_the_future',
    'The last good quote claims to be later than now, by more than '
    '[isolation_attestation] clock_skew.',
    'Synchronise the clocks of the verifier and of the service that decides.',
    uncertain=True,
)
NOT_JUDGED = reasons.Reason(
    'isolation.attested.pcr_not_judged',
    "The verifier's policy for the host does not judge the PCR, so a good "
    'quote says nothing about it.',
    'Enrol the host with a policy for the PCR: keylime_tenant -c update '
    '--tpm_policy.',
)
NEVER_LAUNCHED = reasons.Reason(
    'isolation.attested.never_launched',
    "The verifier's policy for the host approves of the value that the PCR "
    'has before any launch was measured.',
    'Take the value of a host that was launched as it should be; all ones '
    'means that no measured launch took place.',
)
NO_BOOT = reasons.Reason(
    'isolation.attested.no_boot',
    'The verifier judges no measured boot of the host.',
    'Enrol the host with a reference state: keylime_tenant --mb-policy.',
)
NO_RUNTIME = reasons.Reason(
    'isolation.attested.no_runtime',
    'The verifier judges no run-time integrity of the host.',
    'Enrol the host with a run-time policy: keylime_tenant --runtime-policy.',
)

#: All codes of this module.
ALL = reasons.defined_in(vars())
