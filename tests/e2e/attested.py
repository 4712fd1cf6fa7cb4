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

"""The base class of tests of attested hosts, with a cloud with Keylime."""

import json
import os
from pathlib import Path
import time
from typing import Any
from typing import ClassVar

from lab.cloud import cloud as clouds
from lab.cloud import placement
from lab.keylime import attestd
from lab.keylime import tpm
from lab.run import errors
from lab.run import layout
from nova_isolation.mechanisms.attested import attestation_result
from tests.e2e import base

APPROVED, OTHER = 'an approved hypervisor', 'another hypervisor'
POLICY = {tpm.LAUNCH: [tpm.measured(APPROVED)]}
ATTESTED = {'isolation:attested': 'true'}
LAUNCHED = {**ATTESTED, 'isolation:attested_pcrs': str(tpm.LAUNCH)}
_TRAIT = 'CUSTOM_ISOLATION_ATTESTED'
_SECONDS = 300.0


class TestCase(base.TestCase):
    """Both hosts are attested when a test begins."""

    _cloud: ClassVar[clouds.Cloud]

    @classmethod
    def setUpClass(cls) -> None:
        """Start a cloud for the class, or use the running one."""
        super().setUpClass()
        state = os.environ.get('LAB_STATE_ATTESTED')
        if state:
            cls._cloud = clouds.Cloud.attach(Path(state))
            return
        cls._cloud = clouds.Cloud(
            layout.default_state('e2e-attested'), attested=True
        )
        cls._cloud.up()
        cls.addClassCleanup(cls._cloud.down)

    @classmethod
    def use_cloud(cls) -> clouds.Cloud:
        """The cloud for these tests."""
        return cls._cloud

    def setUp(self) -> None:
        super().setUp()
        self.attestation = self.cloud.attestation
        self.verdicts = self.attestation.verdicts
        for host in (base.HARDENED, base.PLAIN):
            self.trust(host)
        for host in (base.HARDENED, base.PLAIN):
            self.wait_fresh(host)

    def trust(self, host: str) -> None:
        """Make a host trusted again, whatever a test did to it."""
        attestation = self.attestation
        if attestation.pcr(host) not in POLICY[tpm.LAUNCH]:
            attestation.launch(host, APPROVED)
        if not attestation.agent_runs(host):
            attestation.restart_agent(host)
        found = self.verdicts.at_verifier(host)
        policy = {str(pcr): values for pcr, values in POLICY.items()}
        if found is None or policy != {
            key: value
            for key, value in json.loads(found['tpm_policy']).items()
            if key != 'mask'
        }:
            attestation.enroll(host, POLICY)
        elif found['attestation_status'] == 'FAIL':
            attestation.reactivate(host)

    def wait_fresh(self, host: str) -> None:
        """Wait until a host counts as attested, and has the trait.

        The host may fail once meanwhile, if it was pending in :meth:`trust`
        because of an earlier test.
        """
        failed = False

        def fresh() -> bool:
            try:
                told, verdict = self.verdicts.at_attestd(host)
            except errors.LabError:
                return False
            nonlocal failed
            if told.state == attestation_result.FAILED and not failed:
                failed = True
                print(f'{host} failed, {told.found}: trusted once more')
                self.trust(host)
            return (
                told.state == attestation_result.GOOD
                and time.time() - (verdict.good_at or 0) < attestd.MAX_AGE / 2
            )

        self.cloud.supervisor.wait(
            f'a good quote of {host}', fresh, _SECONDS, every=0.2
        )
        self.cloud.supervisor.wait(
            f'{_TRAIT} of {host}',
            lambda: _TRAIT in placement.traits(self.api, host),
            _SECONDS,
            every=0.5,
        )

    def lose_trust(self, host: str) -> None:
        """Launch another hypervisor, and wait until attestd reports it."""
        self.attestation.launch(host, OTHER)
        self.verdicts.wait_at_attestd(host, attestation_result.FAILED)

    def wait_reverified(self, server: Any, result: str) -> None:
        """Wait until the last verification of a running guest had a result."""

        def last() -> str:
            found = [
                str(event['result'])
                for event in self.guests.events(server)
                if event['event'] == 'isolation_reverify'
            ]
            return found[-1] if found else ''

        self.cloud.supervisor.wait(
            f'{result} of {server.name}',
            lambda: last() == result,
            _SECONDS,
            every=0.5,
        )

    def assertRefused(self, flavor: Any, host: str, code: str) -> None:
        """A guest of this flavor is refused on this host, for this reason."""
        self.assertNoValidHost(self.boot_flavor(flavor, host=host))
        self.assertExplained(flavor, f'{host}: refused', code)

    def act(
        self, server: Any, action: dict[str, Any], version: str = '2.79'
    ) -> Any:
        """Ask for an action.

        :returns: the response of nova-api
        """
        return self.api.compute.post(
            f'/servers/{server.id}/action', json=action, microversion=version
        )
