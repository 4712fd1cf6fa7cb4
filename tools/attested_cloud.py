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

"""A lab cloud with Keylime, for a benchmark: its hosts must be attested."""

import functools

from lab.cloud import cloud as clouds
from lab.cloud import placement
from lab.keylime import tpm
from lab.run import errors
from nova_isolation.mechanisms.attested import attestation_result

#: The extra specs of a flavor that an attested host alone can have.
SPECS = {
    'isolation:attested': 'true',
    'isolation:attested_pcrs': str(tpm.LAUNCH),
}
_APPROVED = 'an approved hypervisor'
_TRAIT = 'CUSTOM_ISOLATION_ATTESTED'
_SECONDS = 180.0


def trust(cloud: clouds.Cloud) -> None:
    """Make each host of a cloud an attested one, unless it is.

    :raises LabError: a host does not become one
    """
    attestation, api = cloud.attestation, cloud.connect()

    def is_good(host: str) -> bool:
        try:
            told, _ = attestation.verdicts.at_attestd(host)
        except errors.LabError:
            return False
        return told.state == attestation_result.GOOD

    def has_trait(host: str) -> bool:
        return _TRAIT in placement.traits(api, host)

    for host in cloud.hosts:
        if not is_good(host):
            attestation.launch(host, _APPROVED)
            attestation.enroll(host, {tpm.LAUNCH: [tpm.measured(_APPROVED)]})
    for host in cloud.hosts:
        cloud.supervisor.wait(
            f'a good quote of {host}',
            functools.partial(is_good, host),
            _SECONDS,
        )
        cloud.supervisor.wait(
            f'{_TRAIT} of {host}',
            functools.partial(has_trait, host),
            _SECONDS,
        )
