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

"""Hosts that Keylime attests: real TPMs' quotes decide where guests run."""

import socket
import ssl
import time
from typing import Any

import requests

from lab.config import site as sites
from lab.daemons import nova
from lab.keylime import attestd
from lab.keylime import certificates
from lab.keylime import decider
from lab.keylime import settings
from lab.keylime import tpm
from nova_isolation.mechanisms.attested import attestation_result
from nova_isolation.mechanisms.attested import reason_codes as attested_reasons
from tests.e2e import attested
from tests.e2e import base
from tests.e2e import evidence

_HARDENED = nova.compute_name(base.HARDENED)


class AttestedTest(evidence.Statements):
    """isolation:attested and isolation:attested_pcrs, and statements.

    All of these tests share one cloud.
    """

    def test_runs_where_attested(self) -> None:
        server = self.boot(attested.LAUNCHED)
        self.assertActive(server)
        self.assertEvent(server, 'isolation_verify', 'Success')

    def test_services_are_no_admins(self) -> None:
        # A client whose certificate Keylime's authority signed is an
        # administrator of the verifier.
        site = self.cloud.site
        verifier = (sites.LOCALHOST, site.ports['verifier'])
        authority = certificates.authority_file(
            settings.authority(site.layout)
        )
        context = ssl.create_default_context(cafile=str(authority))
        context.load_cert_chain(*attestd.client_certificate(site.layout))
        with (
            self.assertRaises(ssl.SSLError) as caught,
            socket.create_connection(verifier, timeout=10) as connection,
            context.wrap_socket(
                connection, server_hostname=sites.LOCALHOST
            ) as secured,
        ):
            # With TLS 1.3 the server refuses our certificate only after the
            # handshake. A client that writes first may get a reset before it
            # reads the refusal.
            secured.recv(1)
        self.assertIn('UNKNOWN_CA', str(caught.exception))
        with requests.Session() as session:
            session.trust_env = False
            session.verify = str(authority)
            answer = session.get(
                'https://{}:{}/v2.6/agents/'.format(*verifier), timeout=10
            )
        self.assertEqual(403, answer.status_code)

    def test_another_launch(self) -> None:
        flavor = self.flavor(attested.LAUNCHED)
        running = self.boot_flavor(flavor, host=base.PLAIN)
        self.assertActive(running, base.PLAIN)
        log = self.cloud.supervisor.log(attestd.NAME)
        before = len(log.read_text('utf-8'))
        began = time.monotonic()
        self.attestation.launch(base.PLAIN, attested.OTHER)
        self.verdicts.wait_at_verifier(base.PLAIN, 'FAIL')
        self.verdicts.wait_at_attestd(base.PLAIN, attestation_result.FAILED)
        # Keylime quotes every 2 s, and attestd polls every second.
        self.assertLess(time.monotonic() - began, 15)
        self.assertRefused(flavor, base.PLAIN, attested_reasons.FAILED.code)
        self.assertExplained(flavor, 'invalid quote')
        # The revocation arrived, not only the next poll.
        agent = self.attestation.uuid(base.PLAIN)
        self.assertRegex(
            log.read_text('utf-8')[before:],
            f'Agent {agent} is no longer trusted: revoked by its verifier '
            r'\(pcr_validation\.invalid_pcr_17\)',
        )
        # The other host is still accepted, and untagged guests run.
        self.assertActive(self.boot_flavor(flavor), base.HARDENED)
        self.assertActive(self.boot(host=base.PLAIN), base.PLAIN)
        # The running guest is reported, and goes on running.
        self.wait_reverified(running, 'Error')
        self.assertEqual(
            'ACTIVE', self.api.compute.get_server(running.id).status
        )
        self.trust(base.PLAIN)
        self.wait_reverified(running, 'Success')

    def test_agent_killed(self) -> None:
        flavor = self.flavor(attested.ATTESTED)
        self.attestation.kill_agent(base.PLAIN)
        self.verdicts.wait_at_attestd(base.PLAIN, attestation_result.FAILED)
        self.assertRefused(flavor, base.PLAIN, attested_reasons.FAILED.code)

    def test_verifier_stopped(self) -> None:
        flavor = self.flavor(attested.ATTESTED)
        self.addCleanup(self.attestation.start_verifier)
        with decider.Decider(self.cloud.layout) as deciding:
            self.attestation.stop_verifier()
            server = self.boot_flavor(flavor, host=base.PLAIN)
            accepted, refused, unmet = deciding.wait_refused(
                base.PLAIN, 2 * attestd.MAX_AGE
            )
        self.assertLessEqual(accepted, attestd.MAX_AGE)
        self.assertGreater(refused, attestd.MAX_AGE)
        self.assertLess(refused - accepted, 3)
        self.assertActive(server, base.PLAIN)
        self.assertIn(attested_reasons.STALE.code, unmet[0])
        self.assertRefused(flavor, base.PLAIN, attested_reasons.STALE.code)
        self.assertActive(self.boot(host=base.PLAIN), base.PLAIN)

    def test_verifier_restarted(self) -> None:
        flavor = self.flavor(attested.ATTESTED)
        # Otherwise the next good quote would arrive before the check.
        with self.attestation.frozen_agent(base.PLAIN):
            self.attestation.stop_verifier()
            self.attestation.start_verifier()
            self.verdicts.wait_at_attestd(
                base.PLAIN, attestation_result.PENDING
            )
            self.assertRefused(
                flavor, base.PLAIN, attested_reasons.PENDING.code
            )
        self.trust(base.PLAIN)
        self.wait_fresh(base.PLAIN)
        self.assertActive(
            self.boot_flavor(flavor, host=base.PLAIN), base.PLAIN
        )

    def test_never_launched(self) -> None:
        self.attestation.power_cycle(base.PLAIN)
        self.assertEqual(tpm.NEVER_LAUNCHED, self.attestation.pcr(base.PLAIN))
        self.attestation.enroll(base.PLAIN, {tpm.LAUNCH: [tpm.NEVER_LAUNCHED]})
        self.verdicts.wait_at_verifier(base.PLAIN, 'PASS')
        self.wait_fresh(base.PLAIN)
        self.assertRefused(
            self.flavor(attested.LAUNCHED),
            base.PLAIN,
            attested_reasons.NEVER_LAUNCHED.code,
        )

    def test_policy_without_the_pcr(self) -> None:
        value = self.attestation.pcr(base.PLAIN, 0)
        self.attestation.enroll(base.PLAIN, {0: [value]})
        self.verdicts.wait_at_verifier(base.PLAIN, 'PASS')
        self.wait_fresh(base.PLAIN)
        self.assertRefused(
            self.flavor(attested.LAUNCHED),
            base.PLAIN,
            attested_reasons.NOT_JUDGED.code,
        )
        server = self.boot(attested.ATTESTED, host=base.PLAIN)
        self.assertActive(server, base.PLAIN)

    # On the following roads no filter runs; the compute host itself refuses.
    # They are in this class because its tests share one cloud.

    def assertRefusedThere(self, server: Any, host: str) -> None:
        """The host refused a server, and its guest runs nowhere."""
        server = self.guests.wait_fault(server, attested_reasons.FAILED.code)
        # What the verifier says is for admins, not for the owner.
        self.assertNotIn('invalid quote', server.fault['message'])
        told = [
            str(one['details'])
            for one in self.guests.events(server)
            if (one['event'], one['result'], one['host'])
            == ('isolation_decide', 'Error', host)
        ]
        self.assertTrue(any('invalid quote' in text for text in told), told)
        for name in self.cloud.hosts:
            running = self.cloud.hosts[name].virsh(
                self.cloud.supervisor, 'list', '--uuid'
            )
            self.assertNotIn(server.id, running)

    def test_forced_host(self) -> None:
        # Without the trait the scheduler accepts a forced host.
        self.restart(nova.SCHEDULER, request_traits='false')
        self.lose_trust(base.PLAIN)
        server = self.boot(
            attested.ATTESTED, availability_zone=f'nova:{base.PLAIN}'
        )
        self.assertEqual('ERROR', server.status)
        self.assertRefusedThere(server, base.PLAIN)
        self.assertNoAllocations(server)

    def test_rebuild_in_place(self) -> None:
        server = self.boot(attested.ATTESTED, host=base.HARDENED)
        self.assertActive(server, base.HARDENED)
        image = {'rebuild': {'imageRef': server.image.id}}
        self.act(server, image).raise_for_status()
        server = self.guests.wait_status(server, ('ACTIVE', 'ERROR'))
        self.assertActive(server, base.HARDENED)
        self.lose_trust(base.HARDENED)
        self.act(server, image).raise_for_status()
        server = self.guests.wait_status(server, ('ERROR',))
        self.assertRefusedThere(server, base.HARDENED)

    def test_forced_evacuation(self) -> None:
        server = self.boot(attested.ATTESTED, host=base.HARDENED)
        self.assertActive(server, base.HARDENED)
        self.lose_trust(base.PLAIN)
        self.lose_host(server)
        argument = {'host': base.PLAIN, 'force': True}
        self.act(server, {'evacuate': argument}, '2.29').raise_for_status()
        self.assertRefusedThere(server, base.PLAIN)
        server = self.api.compute.get_server(server.id)
        self.assertEqual(base.HARDENED, server.compute_host)
        self.assertNotIn(server.id, self.domains(base.PLAIN))
        # Trust was the only reason.
        self.trust(base.PLAIN)
        self.wait_fresh(base.PLAIN)
        self.act(server, {'evacuate': argument}, '2.29').raise_for_status()
        self.cloud.supervisor.wait(
            'evacuation',
            lambda: (
                self.api.compute.get_server(server.id).compute_host
                == base.PLAIN
            ),
            400,
            every=0.5,
        )
        server = self.guests.wait_status(server, ('ACTIVE',))
        self.assertActive(server, base.PLAIN)

    def lose_host(self, server: Any) -> None:
        """Stop the host of a server until the end of the test."""
        host = self.cloud.hosts[base.HARDENED]
        # The host has to clean up before Nova enables it again.
        self.addCleanup(self.force_down, False)
        self.addCleanup(self.cloud.restart, _HARDENED)
        host.stop_service(self.cloud.supervisor, _HARDENED)
        host.virsh(self.cloud.supervisor, 'destroy', str(server.id))
        self.force_down(True)

    def force_down(self, down: bool) -> None:
        """Set or clear "forced down" for cpu-hardened."""
        service = next(
            iter(
                self.api.compute.services(
                    host=base.HARDENED, binary='nova-compute'
                )
            )
        )
        self.api.compute.put(
            f'/os-services/{service.id}',
            json={'forced_down': down},
            microversion='2.53',
        ).raise_for_status()
