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

"""The scenes about hosts that a verifier attests."""

import time
from typing import Any

from lab.cloud import cloud as clouds
from lab.cloud import explain
from lab.cloud import placement
from lab.daemons import nova
from lab.demo import stage
from lab.keylime import attestd
from lab.keylime import decider as deciders
from lab.keylime import tpm
from nova_isolation.mechanisms.attested import attestation_result

FLAVOR = 'demo.attested'
_SPECS = {
    'isolation:attested': 'true',
    'isolation:attested_pcrs': str(tpm.LAUNCH),
}
_UNTAGGED = 'demo.untagged'
_GOOD, _OTHER = 'cpu-hardened', 'cpu-plain'
_APPROVED, _EVIL = 'hypervisor 1.0, approved', 'hypervisor 1.0, altered'
_REFUSED = ('isolation.attested.failed', 'isolation.attested.revoked')
_STALE = 'isolation.attested.stale'
#: Seconds from another launch to a refusal: a quote, a revocation, a decision.
_SOON = 15.0
_REPORT_SECONDS = 300.0
_REVERIFY_EVENT = 'isolation_reverify'
_DECIDE_EVENT = 'isolation_decide'
_TRAIT = 'CUSTOM_ISOLATION_ATTESTED'


class AttestedScenes(stage.Stage):
    """The scenes, on a cloud with two hosts that have a TPM."""

    def __init__(self, cloud: clouds.Cloud) -> None:
        super().__init__(cloud)
        self._attestation = cloud.attestation
        self._policy = {tpm.LAUNCH: [tpm.measured(_APPROVED)]}

    def run(self) -> None:
        """Show all scenes.

        :raises LabError: at the first claim that is false
        """
        self._launches()
        guest = self._lands_where_it_may()
        self._relaunched(guest)
        self._trusted_again(guest)
        self._verifier_stops()
        self._guests.delete(guest)
        print(
            '\n  Not shown here: SINIT, tboot and the chipset, which measure '
            'a real launch;\n  the TPM is swtpm, and is told of the launch '
            'as the chipset would tell it.'
        )

    def _launches(self) -> None:
        self._title('Two hosts are launched, measured into PCR 17 of a TPM')
        for host in (_GOOD, _OTHER):
            value = self._attestation.pcr(host)
            print(f'  {host:13} before: {value}')
            self._check(
                value == tpm.NEVER_LAUNCHED, f'{host} was not launched'
            )
        for host, text in ((_GOOD, _APPROVED), (_OTHER, _EVIL)):
            self._attestation.launch(host, text)
            print(f'  {host:13} {text}:\n  {self._attestation.pcr(host):>79}')
        print("  Keylime's policy for both: PCR 17 of the approved one")
        for host, status in ((_GOOD, 'PASS'), (_OTHER, 'FAIL')):
            self._attestation.enroll(host, self._policy)
            self._verdict(host, status)

    def _verdict(self, host: str, status: str) -> None:
        found = self._attestation.verdicts.wait_at_verifier(host, status)
        print(
            f"  {host:13} the verifier's verdict: "
            f'{found["attestation_status"]} '
            f'(operational_state {found["operational_state"]})'
        )

    def _lands_where_it_may(self) -> Any:
        self._title('An attested flavor lands only on the approved one')
        self._flavor(FLAVOR, _SPECS)
        self._flavor(_UNTAGGED, {})
        verdicts = self._attestation.verdicts
        verdicts.wait_at_attestd(_GOOD, attestation_result.GOOD)
        verdicts.wait_at_attestd(_OTHER, attestation_result.FAILED)
        created = [
            self._guests.create(f'attested-{number}', FLAVOR)
            for number in (1, 2)
        ]
        first, second = (self._active(one, _GOOD) for one in created)
        self._guests.delete(second)
        self._explained(f'{_GOOD}: accepted', _OTHER, _REFUSED[0])
        server = self._guests.create('untagged-1', _UNTAGGED, host=_OTHER)
        self._guests.delete(self._active(server, _OTHER))
        return first

    def _relaunched(self, guest: Any) -> None:
        self._title(f'{_GOOD} is launched again, with something else')
        with deciders.Decider(self._cloud.layout) as decider:
            since = time.monotonic()
            self._attestation.launch(_GOOD, _EVIL)
            _, _, unmet = decider.wait_refused(_GOOD, _SOON)
        seconds = time.monotonic() - since
        print(f'  {self._attestation.pcr(_GOOD):>79}')
        print(f'  refused {seconds:.1f} s after the launch:')
        for line in unmet:
            print(f'    {line}')
        self._refused('attested-3')
        self._explained(_GOOD, *_REFUSED, any_of=True)
        self._forced()
        server = self._guests.create('untagged-2', _UNTAGGED, host=_GOOD)
        self._guests.delete(self._active(server, _GOOD))
        self._reported(guest, 'Error')

    def _forced(self) -> None:
        zone = f'nova:{_GOOD}'
        self._refused('attested-4', zone)
        # That refusal is due to the trait, which Placement no longer has. The
        # next one is the host's own.
        self._cloud.restart(
            nova.SCHEDULER, {'isolation': {'request_traits': False}}
        )
        print('  without the trait in the way ([isolation] request_traits):')
        self._refused('attested-5', zone, 'isolation.attested.')
        self._cloud.restart(nova.SCHEDULER)

    def _reported(self, guest: Any, result: str) -> None:
        """Show that a running guest is verified again, and goes on running."""

        def told() -> bool:
            last = [
                event['result']
                for event in self._guests.events(guest)
                if event['event'] == _REVERIFY_EVENT
            ][-1:]
            return last == [result]

        self._cloud.supervisor.wait(
            f'{_REVERIFY_EVENT}: {result}', told, _REPORT_SECONDS, every=0.5
        )
        guest = self._api.compute.get_server(guest.id)
        print(
            f'  {guest.name}, which runs there: {guest.status}, event '
            f'{_REVERIFY_EVENT}: {result}'
        )
        self._check(guest.status == 'ACTIVE', f'{guest.name} goes on')

    def _trusted_again(self, guest: Any) -> None:
        self._title(f'{_GOOD} is launched as approved, and reactivated')
        self._attestation.launch(_GOOD, _APPROVED)
        since = time.monotonic()
        self._attestation.reactivate(_GOOD)
        self._verdict(_GOOD, 'PASS')
        self._attestation.verdicts.wait_at_attestd(
            _GOOD, attestation_result.GOOD
        )
        print(f'  trusted again after {time.monotonic() - since:.1f} s')
        self._cloud.supervisor.wait(
            f'{_TRAIT} of {_GOOD}',
            lambda: _TRAIT in placement.traits(self._api, _GOOD),
            _REPORT_SECONDS,
            every=0.2,
        )
        print(
            f'  {_TRAIT} in Placement after {time.monotonic() - since:.1f} s'
        )
        self._reported(guest, 'Success')
        server = self._guests.create('attested-6', FLAVOR)
        self._guests.delete(self._active(server, _GOOD))

    def _verifier_stops(self) -> None:
        age = attestd.MAX_AGE
        self._title(f'The verifier stops; a good quote counts for {age} s')
        with deciders.Decider(self._cloud.layout) as decider:
            self._attestation.stop_verifier()
            self._explained(f'{_GOOD}: accepted')
            accepted, refused, unmet = decider.wait_refused(_GOOD, 2 * age)
        print(
            f'  accepted until {accepted:.2f} s after its last good quote,\n'
            f'  refused from   {refused:.2f} s:'
        )
        for line in unmet:
            print(f'    {line}')
        self._check(accepted <= age < refused, 'not before, not after')
        self._check(refused - age < 1, 'at once')
        self._refused('attested-7')
        self._explained(_GOOD, _STALE)
        server = self._guests.create('untagged-3', _UNTAGGED, host=_GOOD)
        self._guests.delete(self._active(server, _GOOD))
        self._attestation.start_verifier()
        self._attestation.verdicts.wait_at_verifier(_GOOD, 'PASS')

    def _told(self, server: Any) -> None:
        """Show what an admin reads about a refusal, and its owner does not."""
        told = [
            str(event.get('details'))
            for event in self._guests.events(server)
            if event['event'] == _DECIDE_EVENT
        ]
        wanted = f'PCR {tpm.LAUNCH} = '
        self._check(
            any(wanted in text for text in told),
            f'the event {_DECIDE_EVENT} of {server.name} says "{wanted}", '
            f'not {told}',
        )
        print(f'    event {_DECIDE_EVENT}, for admins: {told[-1]}')

    def _active(self, server: Any, host: str) -> Any:
        server = self._running(server, host)
        print(f'  {server.name}: ACTIVE on {host}')
        return server

    def _refused(
        self, name: str, availability_zone: str = '', reason: str = ''
    ) -> None:
        """Show that a boot is refused.

        :param reason: text of the fault, if that is not the scheduler's
        """
        server = self._guests.boot(
            name, FLAVOR, availability_zone=availability_zone or None
        )
        self._check(
            server.status == 'ERROR',
            f'{name} is refused, not {server.status} on {server.compute_host}',
        )
        if reason:
            server = self._guests.wait_fault(server, reason)
        forced = f' ({availability_zone})' if availability_zone else ''
        print(f'  {name}{forced}: {server.status}: {self._fault(server)}')
        if reason:
            self._told(server)
        self._check_no_domain(server)
        self._guests.delete(server)

    def _explained(self, *words: str, any_of: bool = False) -> None:
        """Show the output of explain, and check it.

        :param words: words that the output has to contain
        :param any_of: the first word and one of the others are enough
        """
        text = explain.explain(self._cloud, FLAVOR)
        self._show_explanation(FLAVOR, text)
        needed = words[:1] if any_of else words
        for word in needed:
            self._check(word in text, f'explain says "{word}"')
        if any_of:
            self._check(
                any(word in text for word in words[1:]),
                f'explain says one of {words[1:]}',
            )
