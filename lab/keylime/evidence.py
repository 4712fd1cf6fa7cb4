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

"""The evidence of an attested lab: the log, and the keys of the hosts.

Only this module knows the names of the options for evidence.
"""

from collections.abc import Mapping
import json
from pathlib import Path
import subprocess  # nosec B404: only for the type of a result
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
import requests

from lab.config import ini
from lab.config import site as sites
from lab.hosts import compute_host
from lab.hosts import container
from lab.keylime import agent as agents
from lab.keylime import attestd
from lab.keylime import tpm
from lab.machine import recipe
from lab.run import errors
from lab.run import layout as layouts
from lab.run import supervisor as supervisors

PORT = 'attestd-evidence'
#: The verifier of statements, which this lab runs without a network.
_VERIFIER = 'nova-isolation-evidence'
_KEYS = recipe.STATE / 'isolation-evidence'
#: The default password of Keylime's agent for the hierarchies of a TPM.
_PASSWORD = 'keylime'  # noqa: S105  # nosec B105
_TIMEOUT = 30
_SECONDS = 120.0


def make(site: sites.Site) -> None:
    """Make the key of the log, and what its readers need."""
    key = ec.generate_private_key(ec.SECP256R1())
    layouts.write(
        _log_key(site.layout),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM,
        serialization.PublicFormat.SubjectPublicKeyInfo,
    )
    layouts.write(
        trust(site.layout),
        json.dumps(
            {
                'v': 1,
                'logs': [public.decode()],
                'hosts': [],
                'file_keys': False,
            }
        ),
    )
    layouts.write(_password(site.layout), _PASSWORD)


def log(site: sites.Site) -> ini.Settings:
    """The options of attestd for its log."""
    return {
        'evidence': {
            'port': site.ports[PORT],
            'database': f'sqlite:///{database(site.layout)}',
            'log_key_file': str(_log_key(site.layout)),
            'registrar': (
                f'https://{sites.LOCALHOST}:{site.ports["registrar-tls"]}'
            ),
            'pcrs': tpm.LAUNCH,
        }
    }


def reader(site: sites.Site, folder: Path | None = None) -> ini.Settings:
    """The options of who asks the log.

    :param folder: see lab.keylime.attestd.client()
    """
    ca, certificate, key = (
        folder / path.name if folder else path
        for path in attestd.client_files(site.layout)
    )
    return {
        'isolation_evidence': {
            'url': _url(site),
            'ca_file': str(ca),
            'cert_file': str(certificate),
            'key_file': str(key),
            'clock_skew': attestd.CLOCK_SKEW,
        }
    }


def host(site: sites.Site, tcti: str) -> ini.Settings:
    """The options of nova-compute on a host with a TPM.

    :param tcti: the address of the TPM
    """
    return ini.merge(
        reader(site, recipe.CONFIGURATION),
        {
            'isolation_evidence': {
                'signing_key': 'tpm',
                'key_dir': str(_KEYS),
                'tpm_tcti': tcti,
            }
        },
    )


def trust(layout: layouts.Layout) -> Path:
    """The file that says whom readers of statements believe: the log."""
    return layout.etc / 'attestd' / 'trust.json'


def database(layout: layouts.Layout) -> Path:
    """The log."""
    return layout.data / 'evidence.sqlite'


class Evidence:
    """Makes the keys of hosts, reads the log, and verifies statements."""

    def __init__(
        self,
        supervisor: supervisors.Supervisor,
        site: sites.Site,
        hosts: Mapping[str, compute_host.ComputeHost],
        confs: Mapping[str, Path],
    ) -> None:
        """:param hosts: the compute hosts, by name
        :param confs: nova.conf of each of them
        """
        self._supervisor = supervisor
        self._site = site
        self._hosts = hosts
        self._confs = confs

    def make_key(self, name: str) -> None:
        """Make a host's key, in place of the one that it may have."""
        there = self._hosts[name]
        there.run(
            self._supervisor,
            [
                'install',
                '-d',
                f'--owner={there.spec.user}',
                f'--group={there.spec.user}',
                '--mode=0700',
                _KEYS,
            ],
        )
        self._manage(
            name, 'create', '--replace', '--owner-auth', self._auth(name)
        )

    def enroll(self, name: str) -> str:
        """Have the log know the key of a host.

        :returns: what the command printed
        """
        return self._manage(
            name,
            'enroll',
            '--agent',
            agents.agent_uuid(name),
            '--endorsement-auth',
            self._auth(name),
        )

    def newest(self, server: str, audience: str) -> dict[str, Any] | None:
        """The newest statement of the log about a server.

        :param server: its UUID
        """
        return self.ask(f'servers/{server}?audience={audience}')['bundle']  # type: ignore[no-any-return]

    def ask(self, path: str) -> dict[str, Any]:
        """What the log answers to a GET request.

        :param path: below ``/v1/evidence/``
        :raises LabError: the answer is an error
        """
        ca, certificate, key = attestd.client_files(self._site.layout)
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(
                f'{_url(self._site)}/v1/evidence/{path}',
                cert=(str(certificate), str(key)),
                verify=str(ca),
                timeout=_TIMEOUT,
            )
        if answer.status_code != 200:
            raise errors.LabError(f'{path}: {answer.text}')
        found: dict[str, Any] = answer.json()
        return found

    def verify(
        self, bundle: object, nonce: str = ''
    ) -> subprocess.CompletedProcess[str]:
        """Verify a statement offline: without a network interface.

        :param bundle: JSON values
        :returns: what nova-isolation-evidence printed, and its exit status
        """
        file = layouts.write(
            self._site.layout.state / 'bundle.json', json.dumps(bundle)
        )
        return self._supervisor.output(
            [
                'unshare',
                '--net',
                layouts.BIN / _VERIFIER,
                'verify',
                file,
                '--trust',
                trust(self._site.layout),
                *(['--nonce', nonce] if nonce else []),
            ]
        )

    def check_log(self, kept: Path) -> subprocess.CompletedProcess[str]:
        """Compare the newest head with one that is kept, and keep it.

        :param kept: the file of the auditor
        """
        ca, certificate, key = attestd.client_files(self._site.layout)
        return self._supervisor.output(
            [
                layouts.BIN / _VERIFIER,
                'head',
                kept,
                '--url',
                _url(self._site),
                '--trust',
                trust(self._site.layout),
                '--ca-file',
                ca,
                '--cert-file',
                certificate,
                '--key-file',
                key,
            ]
        )

    def _auth(self, name: str) -> Path:
        [path] = self._hosts[name].give(
            self._supervisor, [_password(self._site.layout)]
        )
        return path

    def _manage(self, name: str, *words: str | Path) -> str:
        """Run ``nova-isolation-manage evidence-key``, as nova-compute's user.

        :raises LabError: it failed
        """
        there = self._hosts[name]
        [conf] = there.give(self._supervisor, [self._confs[name]])
        result = there.run(
            self._supervisor,
            container.as_user(
                there.spec.user,
                [
                    layouts.BIN / 'nova-isolation-manage',
                    '--config-file',
                    conf,
                    'evidence-key',
                    *words,
                ],
            ),
            _SECONDS,
        )
        if result.returncode:
            raise errors.LabError(
                f'{name}: evidence-key {words[0]}: {result.stderr}'
            )
        return result.stdout


def _url(site: sites.Site) -> str:
    return f'https://{sites.LOCALHOST}:{site.ports[PORT]}'


def _log_key(layout: layouts.Layout) -> Path:
    return layout.etc / 'attestd' / 'log.key'


def _password(layout: layouts.Layout) -> Path:
    return layout.etc / 'attestd' / 'tpm-password'
