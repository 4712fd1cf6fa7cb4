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
"""A nova-isolation-attestd of a test: the real one, in a process."""

import os
import pathlib
import random
import resource
import socket
import subprocess
import sys
import time
import types

import fixtures
import requests

from nova_isolation.attestation import attestd_client
from nova_isolation.attestation import snapshot
from nova_isolation.mechanisms.attested import attestation_result
from tests.unit import entry_points
from tests.unit.attestation.keylime import messages
from tests.unit.https import pki

#: Seconds for what takes less than one on a quiet machine.
PATIENCE = 30.0

_MAIN = (
    'import sys; from nova_isolation.cmd import attestd; '
    'sys.exit(attestd.main())'
)

AGENT = messages.AGENT
GOOD = attestation_result.dumps(
    attestation_result.AttestationResult(
        attestation_result.GOOD, pcrs=('17=ab',)
    )
)


def free_port():
    """A port that nobody listens on at present.

    Below those that Linux gives to outgoing connections: none takes it before
    the daemon does.
    """
    while True:
        port = random.randrange(25_000, 32_000)
        try:
            socket.create_server(('127.0.0.1', port)).close()
        except OSError:
            continue
        return port


def known(hosts=1, trouble='', good_at=None):
    """A snapshot of good hosts: ``host0`` has the agent AGENT, and so on."""
    at = time.time() if good_at is None else good_at
    return snapshot.Snapshot(
        verdicts=types.MappingProxyType(
            {
                f'host{number}': snapshot.Verdict(
                    GOOD, at, at, f'{AGENT[:-5]}{number:05}', 'https://v:1'
                )
                for number in range(hosts)
            }
        ),
        trouble=trouble,
    )


class Attestd(fixtures.Fixture):
    """Its files and, when it was started, its process."""

    def __init__(self, **options):
        """:param options: of ``[attestd]``, None to leave one out"""
        self.options = options
        self.process = None
        #: How many file descriptors it may have; None: as many as we.
        self.descriptors = None

    def _setUp(self):
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        #: Of the daemon's certificate, of its clients', of the verifiers'.
        self.authority = pki.Authority(self.folder / 'ours', 'ours')
        self.verifiers = pki.Authority(self.folder / 'keylime', 'keylime')
        server = self.authority.issue('attestd')
        hook = self.verifiers.issue('webhook')
        self.client = self.authority.issue('scheduler')
        self.verifier = self.verifiers.issue('verifier')
        self.port = self.webhook_port = free_port()
        while self.webhook_port == self.port:
            self.webhook_port = free_port()
        self.verdicts = self.folder / 'verdicts.json'
        self.options = {
            'port': self.port,
            'cert_file': server.cert_file,
            'key_file': server.key_file,
            'webhook_port': self.webhook_port,
            'webhook_cert_file': hook.cert_file,
            'webhook_key_file': hook.key_file,
            'webhook_ca_file': self.verifiers.ca_file,
            **self.options,
        }
        self.useFixture(entry_points.FixtureProvider())
        #: Of ``[isolation_attestation]``, and of the provider's own group.
        self.common = {'provider': 'fixture'}
        self.own = {'file': self.verdicts}
        #: Of ``[evidence]``; none: there is no log.
        self.evidence = {}
        self.config = self.folder / 'attestd.conf'
        self.arguments = ['--config-file', str(self.config)]

    def write(self, snapshot_):
        """What the daemon's provider says from now on."""
        new = self.verdicts.with_suffix('.new')
        new.write_text(snapshot.dumps(snapshot_))
        os.replace(new, self.verdicts)

    def write_config(self):
        """Write its file."""
        text = ''
        for group, options in (
            ('attestd', self.options),
            ('isolation_attestation', self.common),
            (f'isolation_attestation_{self.common["provider"]}', self.own),
            ('evidence', self.evidence),
        ):
            text += f'[{group}]\n' + ''.join(
                f'{name} = {value}\n'
                for name, value in options.items()
                if value is not None
            )
        self.config.write_text(text)

    def run(self):
        """Start it, without waiting."""
        self.write_config()
        self.log = open(self.folder / 'log', 'wb')  # noqa: SIM115
        self.addCleanup(self.log.close)
        self.process = subprocess.Popen(
            [sys.executable, '-c', _MAIN, *self.arguments],
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            preexec_fn=self._limit,
        )
        self.addCleanup(self.kill)
        return self.process

    def _limit(self):
        if self.descriptors is not None:
            resource.setrlimit(
                resource.RLIMIT_NOFILE, (self.descriptors, self.descriptors)
            )

    def start(self):
        """Start it, and wait until it serves."""
        self.run()
        until = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(
                    ('127.0.0.1', self.options['port']), 1
                ).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise AssertionError(self.text()) from None
                time.sleep(0.05)

    def kill(self):
        """End it at once, if it runs."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)

    def text(self):
        """What it has said so far."""
        return (self.folder / 'log').read_text()

    def get(self, path='/v1/snapshot', **arguments):
        """An answer."""
        return requests.get(
            f'https://127.0.0.1:{self.options["port"]}{path}',
            timeout=PATIENCE,
            **{'verify': self.authority.ca_file, **arguments},
        )

    def newer(self, tag, path='/v1/snapshot?wait=20'):
        """The answer when there is another snapshot than the one of a tag."""
        return self.get(path, headers={'If-None-Match': tag})

    def post(self, body, client='verifier', path='/v1/revocation'):
        """A message to the webhook.

        :param client: the certificate; None for none
        """
        if client == 'verifier':
            client = self.verifier
        return requests.post(
            f'https://127.0.0.1:{self.webhook_port}{path}',
            data=body,
            verify=self.verifiers.ca_file,
            cert=client and (client.cert_file, client.key_file),
            timeout=PATIENCE,
        )

    def provider(self, **options):
        """The provider that asks it."""
        return attestd_client.AttestdProvider(
            types.SimpleNamespace(
                **{
                    'max_age': 120.0,
                    'timeout': 5.0,
                    'clock_skew': 5.0,
                    'ca_file': self.authority.ca_file,
                    'cert_file': self.client.cert_file,
                    'key_file': self.client.key_file,
                    **options,
                }
            ),
            types.SimpleNamespace(
                url=f'https://127.0.0.1:{self.options["port"]}'
            ),
        )
