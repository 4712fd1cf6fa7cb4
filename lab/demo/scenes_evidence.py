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

"""The scenes about statements that somebody else can verify."""

import base64
import copy
import functools
import json
from pathlib import Path
import secrets
import sqlite3
import sys
import time
from typing import Any

from lab.cloud import cloud as clouds
from lab.cloud import openstack_command
from lab.cloud import placement
from lab.config import site as sites
from lab.demo import stage
from lab.guests import guests
from lab.keylime import attestd
from lab.keylime import evidence
from lab.keylime import tpm
from nova_isolation.mechanisms.attested import attestation_result

FLAVOR = 'demo.attested'
_SPECS = {
    'isolation:attested': 'true',
    'isolation:attested_pcrs': str(tpm.LAUNCH),
}
_GOOD, _OTHER = 'cpu-hardened', 'cpu-plain'
_APPROVED, _EVIL = 'hypervisor 1.0, approved', 'hypervisor 1.0, altered'
_ACCEPTED, _REFUSED = 0, 1
_SECONDS = 300.0
_TRAIT = 'CUSTOM_ISOLATION_ATTESTED'
_PROGRAM = Path(__file__).with_name('metadata.py')
_VENDORDATA = '/openstack/latest/vendor_data2.json'


class EvidenceScenes(stage.Stage):
    """The scenes, on an attested cloud with nova-isolation-api."""

    def __init__(self, cloud: clouds.Cloud) -> None:
        super().__init__(cloud)
        self._attestation = cloud.attestation
        self._evidence = cloud.evidence
        self._owner = guests.Guests(cloud, cloud.connect(sites.OWNER))
        self._kept = cloud.layout.state / 'kept-head.json'

    def run(self) -> None:
        """Show all scenes.

        :raises LabError: at the first claim that is false
        """
        self._keys()
        server = self._stated()
        self._asked(server)
        self._inside(server)
        self._altered(server)
        self._log_away(server)
        self._relaunched(server)
        self._removed()
        self._owner.delete(server)

    def _keys(self) -> None:
        self._title('Each host makes a key in its TPM, and the log takes it')
        policy = {tpm.LAUNCH: [tpm.measured(_APPROVED)]}
        for host in (_GOOD, _OTHER):
            self._attestation.launch(host, _APPROVED)
            self._attestation.enroll(host, policy)
        for host in (_GOOD, _OTHER):
            self._attestation.verdicts.wait_at_attestd(
                host, attestation_result.GOOD
            )
            self._cloud.supervisor.wait(
                f'{_TRAIT} of {host}',
                functools.partial(self._has_trait, host),
                _SECONDS,
                every=0.5,
            )
            self._evidence.make_key(host)
            print(f'  {host:13} {self._evidence.enroll(host).strip()}')

    def _has_trait(self, host: str) -> bool:
        return _TRAIT in placement.traits(self._api, host)

    def _stated(self) -> Any:
        self._title('A guest starts; a statement about it is in the log')
        self._flavor(FLAVOR, _SPECS)
        server = self._owner.create('stated-1', FLAVOR)
        server = self._guests.wait_status(server, ('ACTIVE', 'ERROR'))
        self._check(server.status == 'ACTIVE', f'it runs: {server.fault}')
        print(f'  {server.name}: {server.status} on {server.compute_host}')
        bundle = self._wait_newest(server, 'owner')
        self._verify(bundle, words=('found that the guest meets its flavor',))
        self._check(
            server.compute_host not in _stated(bundle),
            'the statement for the owner does not name the host',
        )
        self._audit('nothing was compared')
        return server

    def _asked(self, server: Any) -> None:
        self._title('Its owner asks with a nonce, and verifies offline')
        nonce = secrets.token_hex(16)
        file = self._cloud.layout.state / 'statement.json'
        words = ['server', 'isolation', 'evidence', server.id]
        result = openstack_command.run(
            self._cloud,
            sites.OWNER,
            *words,
            '--nonce',
            nonce,
            '--output',
            str(file),
        )
        print(f'  $ openstack {" ".join(words)} --nonce {nonce} --output FILE')
        self._check(
            result.returncode == _ACCEPTED,
            f'the command ends with 0: {result.stdout}{result.stderr}',
        )
        self._bundle = json.loads(file.read_text(encoding='utf-8'))
        self._verify(self._bundle, nonce, shows=True)
        print('  With another nonce:')
        self._verify(
            self._bundle, 'another-nonce', _REFUSED, ('evidence.nonce',)
        )
        result = openstack_command.run(
            self._cloud, sites.STRANGER, *words, '--nonce', nonce
        )
        print(f'  A member of another project: {result.stderr.strip()}')
        self._check(result.returncode != _ACCEPTED, 'others read nothing')

    def _inside(self, server: Any) -> None:
        self._title('The guest reads the newest statement about itself')
        result = self._cloud.supervisor.output(
            [
                sys.executable,
                '-P',
                _PROGRAM,
                self._cloud.layout.nova_conf,
                server.id,
                _VENDORDATA,
            ],
            _SECONDS,
        )
        self._check(
            result.returncode == 0, f'Nova answers: {result.stderr[-2000:]}'
        )
        found = json.loads(result.stdout)['isolation']
        print(f'  {_VENDORDATA}: isolation: {", ".join(found)}')
        self._check(found['reason'] == '', f'it is there: {found["reason"]}')
        self._verify(found['evidence'])

    def _altered(self, server: Any) -> None:
        self._title('What was altered, or signed by somebody else, fails')
        other = copy.deepcopy(self._bundle)
        payload = other['envelope']['payload']
        place = len(payload) // 2
        swapped = 'A' if payload[place] != 'A' else 'B'
        other['envelope']['payload'] = (
            payload[:place] + swapped + payload[place + 1 :]
        )
        print('  One byte of the statement:')
        self._verify(other, status=_REFUSED)
        # A statement of the other host, and the receipt of this one.
        host = _GOOD if server.compute_host == _OTHER else _OTHER
        there = self._guests.create('stated-2', FLAVOR, host=host)
        there = self._guests.wait_status(there, ('ACTIVE', 'ERROR'))
        self._check(there.status == 'ACTIVE', f'it runs: {there.fault}')
        foreign = self._wait_newest(there, 'owner')
        self._check(
            _key(foreign) != _key(self._bundle), 'each host has its own key'
        )
        other = copy.deepcopy(self._bundle)
        other['envelope'] = foreign['envelope']
        print("  Another host's statement, with this receipt:")
        self._verify(other, status=_REFUSED, words=('evidence.receipt',))
        other = copy.deepcopy(self._bundle)
        other['envelope']['signatures'] = foreign['envelope']['signatures']
        print("  Another host's signature:")
        self._verify(other, status=_REFUSED)
        other = copy.deepcopy(self._bundle)
        other['receipt'] = None
        print('  Without the receipt of the log:')
        self._verify(other, status=_REFUSED, words=('evidence.not_logged',))
        self._guests.delete(there)

    def _log_away(self, server: Any) -> None:
        self._title('The log is away: statements wait, and nothing else does')
        self._attestation.stop_attestd()
        self._guests.flavor(
            'demo.sandboxed', {'isolation:qemu_sandbox': 'true'}
        )
        since = time.monotonic()
        other = self._guests.create('stated-3', 'demo.sandboxed', host=_GOOD)
        other = self._guests.wait_status(other, ('ACTIVE', 'ERROR'))
        self._check(other.status == 'ACTIVE', f'it runs: {other.fault}')
        print(
            f'  {other.name}: {other.status} on {other.compute_host} after '
            f'{time.monotonic() - since:.0f} s'
        )
        result = openstack_command.run(
            self._cloud,
            sites.OWNER,
            'server',
            'isolation',
            'evidence',
            server.id,
            '--nonce',
            secrets.token_hex(16),
        )
        print(f'  asked with a nonce: {result.stderr.strip()}')
        self._check(
            result.returncode == _REFUSED and '[away]' in result.stderr,
            'the answer says that the log is away',
        )
        self._attestation.start_attestd()
        self._attestation.verdicts.wait_at_attestd(
            _GOOD, attestation_result.GOOD
        )
        bundle = self._wait_newest(other, 'owner')
        print('  The log is back, and has the statement that waited:')
        self._verify(bundle)
        self._audit('unaltered')
        self._guests.delete(other)

    def _relaunched(self, server: Any) -> None:
        host = server.compute_host
        self._title(f'{host} is launched with something else')
        self._attestation.launch(host, _EVIL)
        self._attestation.verdicts.wait_at_attestd(
            host, attestation_result.FAILED
        )
        result = openstack_command.run(
            self._cloud,
            sites.ADMIN,
            'server',
            'isolation',
            'evidence',
            server.id,
            '--nonce',
            secrets.token_hex(16),
        )
        print(f'  asked with a nonce: {result.stderr.strip()}')
        self._check(
            result.returncode != _ACCEPTED and 'PCR 17' in result.stderr,
            'its TPM signs nothing',
        )
        log = self._cloud.supervisor.log(attestd.NAME).read_text('utf-8')
        lost = [
            line for line in log.splitlines() if 'is lost, because' in line
        ]
        self._check(bool(lost), 'the log of attestd says that the key is lost')
        print(f'  attestd: {lost[-1].partition("The key")[2].strip()}')
        self._attestation.launch(host, _APPROVED)
        self._attestation.reactivate(host)
        self._attestation.verdicts.wait_at_attestd(
            host, attestation_result.GOOD
        )
        print('  Launched as approved again, it must enroll its key again:')
        print(f'  {host:13} {self._evidence.enroll(host).strip()}')

    def _removed(self) -> None:
        self._title('Entries are removed, by somebody with the key of the log')
        self._audit('unaltered')
        self._attestation.stop_attestd()
        with sqlite3.connect(
            evidence.database(self._cloud.layout)
        ) as connection:
            # Whoever has the key of the log can sign another head.
            connection.execute('DELETE FROM evidence_entries')
            connection.execute('DELETE FROM evidence_head')
        self._attestation.start_attestd()
        self._attestation.verdicts.wait_at_attestd(
            _GOOD, attestation_result.GOOD
        )
        result = self._evidence.check_log(self._kept)
        print(''.join(f'  {line}\n' for line in result.stdout.splitlines()))
        self._check(
            result.returncode == _REFUSED and 'evidence.fork' in result.stdout,
            f'an auditor who kept a head notices: {result.stderr}',
        )

    def _audit(self, word: str) -> None:
        result = self._evidence.check_log(self._kept)
        print(f'  an auditor: {result.stdout.strip()}')
        self._check(
            result.returncode == 0 and word in result.stdout,
            f'the log is whole: {result.stdout}{result.stderr}',
        )

    def _wait_newest(self, server: Any, audience: str) -> dict[str, Any]:
        found: dict[str, Any] = self._cloud.supervisor.wait(
            f'a statement about {server.name}',
            lambda: self._evidence.newest(server.id, audience),
            _SECONDS,
            every=0.5,
        )
        return found

    def _verify(
        self,
        bundle: object,
        nonce: str = '',
        status: int = _ACCEPTED,
        words: tuple[str, ...] = (),
        shows: bool = False,
    ) -> None:
        """Verify a statement without a network, and show what came of it."""
        result = self._evidence.verify(bundle, nonce)
        lines = result.stdout.splitlines()
        print(f'  $ nova-isolation-evidence verify: exit {result.returncode}')
        for line in lines if shows or status else lines[:3]:
            print(f'    {line}')
        self._check(
            result.returncode == status,
            f'it ends with {status}: {result.stdout}{result.stderr}',
        )
        for word in words:
            self._check(word in result.stdout, f'it says "{word}"')


def _stated(bundle: dict[str, Any]) -> str:
    return base64.b64decode(bundle['envelope']['payload']).decode()


def _key(bundle: dict[str, Any]) -> str:
    return str(bundle['envelope']['signatures'][0]['keyid'])
