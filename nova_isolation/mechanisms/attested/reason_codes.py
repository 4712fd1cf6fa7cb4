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
    'Enroll the host with the verifier, and check that host_map in '
    '[isolation_attestation_keylime] of the service that asks the verifiers '
    'names the agent of the host.',
    uncertain=True,
)
AMBIGUOUS = reasons.Reason(
    'isolation.attested.ambiguous',
    'It is not known which agent runs on the host: the host has two agents, '
    'or its agent is mapped to two hosts or enrolled with two verifiers.',
    'Make [isolation_attestation_keylime] host_map one to one. The log of the '
    'service that asks the verifiers names the duplicates.',
)
PENDING = reasons.Reason(
    'isolation.attested.pending',
    'The verifier has no verdict about the host, or its verdict cannot be '
    'read.',
    'Wait for the first good quote of the host; keylime_tenant -c status '
    'shows the progress. After a restart of the verifier each host is pending '
    'for a moment.',
    uncertain=True,
)
FAILED = reasons.Reason(
    'isolation.attested.failed',
    'The host does not match the policy of the verifier, or the verifier '
    'could no longer reach the agent of the host.',
    'Find out which software was launched on the host, or why its agent '
    'stopped, before you trust the host again. Then run keylime_tenant -c '
    'reactivate -u AGENT.',
)
REVOKED = reasons.Reason(
    'isolation.attested.revoked',
    'The verifier revoked its trust in the host and has not reported a good '
    'quote since.',
    'Follow the remedy of isolation.attested.failed. A newer good quote '
    'restores the trust.',
    same_as=FAILED.code,
)
STALE = reasons.Reason(
    'isolation.attested.stale',
    'The last good quote of the host is older than isolation:attested_max_age '
    'or [isolation_attestation] max_age.',
    'Check that the verifier runs, that the agent runs on the host, and that '
    'the service that asks the verifier can reach the verifier.',
    uncertain=True,
)
FUTURE = reasons.Reason(
    'isolation.attested.from_the_future',
    'The last good quote is dated in the future by more than '
    '[isolation_attestation] clock_skew.',
    'Synchronise the clocks of the verifier and of the service that decides.',
    uncertain=True,
)
NOT_JUDGED = reasons.Reason(
    'isolation.attested.pcr_not_judged',
    "The verifier's policy for the host does not cover the PCR, so a good "
    'quote proves nothing about the PCR.',
    'Enroll the host with a policy for the PCR: keylime_tenant -c update '
    '--tpm_policy.',
)
NEVER_LAUNCHED = reasons.Reason(
    'isolation.attested.never_launched',
    "The verifier's policy for the host approves the value that the PCR has "
    'before any launch was measured.',
    'Put the value of a correctly launched host into the policy. A value of '
    'all ones means that no measured launch took place, and one of zeros that '
    'nothing was measured into the PCR.',
)
RESETTABLE = reasons.Reason(
    'isolation.attested.pcr_resettable',
    'Any program of the host can reset and extend the PCR, so no value of it '
    'proves a launch.',
    'Remove PCR 16 and 23 from isolation:attested_pcrs of the flavor.',
)
NO_BOOT = reasons.Reason(
    'isolation.attested.no_boot',
    "The verifier's policy for the host does not cover measured boot.",
    'Enroll the host with a reference state: keylime_tenant --mb-policy.',
)
NO_RUNTIME = reasons.Reason(
    'isolation.attested.no_runtime',
    "The verifier's policy for the host does not cover run-time integrity.",
    'Enroll the host with a run-time policy: keylime_tenant --runtime-policy.',
)

#: All codes of this module.
ALL = reasons.defined_in(vars())
