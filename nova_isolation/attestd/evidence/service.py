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

"""The log of a daemon: its parts, and what it does now and then."""

import asyncio
import logging
import pathlib
import time
import typing

from cryptography.hazmat.primitives import serialization
from securesystemslib import signer as signers
from starlette import applications

from nova_isolation.attestation import refresher
from nova_isolation.attestation.keylime import registrar_api
from nova_isolation.attestd import listener
from nova_isolation.attestd.evidence import api as apis
from nova_isolation.attestd.evidence import enrollment
from nova_isolation.attestd.evidence import intake
from nova_isolation.attestd.evidence import keyring as keyrings
from nova_isolation.attestd.evidence import log as logs
from nova_isolation.attestd.evidence import standing
from nova_isolation.attestd.evidence import store as stores
from nova_isolation.attestd.evidence import tpm_key
from nova_isolation.evidence import envelope
from nova_isolation.evidence import errors as bad
from nova_isolation.https import https_client
from nova_isolation.https import https_error
from nova_isolation.https import key_file

LOG = logging.getLogger(__name__)

#: Seconds between two removals of old content.
_REMOVAL_SECONDS = 3600.0
#: Seconds between two looks at which hosts have failed.
_LOOK_SECONDS = 1.0
_DAY = 24 * 3600


class EvidenceService:
    """The log, its keys, and its HTTP API."""

    def __init__(
        self,
        options: typing.Any,
        attestation: typing.Any,
        refreshed: refresher.Refresher,
    ) -> None:
        """Read the log; all errors of the configuration are found now.

        :param options: the group ``[evidence]``
        :param attestation: the group ``[isolation_attestation]``
        :param refreshed: has the verdicts about hosts
        :raises nova_isolation.model.errors.IsolationError: the log cannot be
            used as configured
        """
        signer = load_key(options.log_key_file)
        self._retention = options.retention_days * _DAY
        self._store = stores.Store(options.database)
        self._log = logs.Log(self._store, signer)
        self._standings = standing.Standings(refreshed)
        self._keyring = keyrings.Keyring(self._store)
        self._fallen: dict[str, str] = {}
        self._api = apis.Api(
            self._log,
            intake.Intake(
                self._log,
                self._keyring,
                self._standings,
                max_delay=options.max_delay,
                clock_skew=attestation.clock_skew,
            ),
            enrollment.Enrollment(
                self._keyring,
                self._standings,
                _registrar(options.registrar, attestation),
                options.pcrs,
            ),
        )
        LOG.info('The log has the key %s', signer.public_key.keyid)

    def app(self) -> applications.Starlette:
        """Return the ASGI application."""
        return self._api.app()

    async def run(self) -> None:
        """End keys of hosts that fail, log what becomes of keys, and remove
        old content, for ever.
        """
        removal_at = time.monotonic()
        while True:
            try:
                await self._api.on_enroller(self.lose_keys)
                await self._api.on_log(self._log.append_key_events)
                if self._retention and time.monotonic() >= removal_at:
                    removal_at += _REMOVAL_SECONDS
                    while await self._api.on_log(self.remove_content):
                        pass
            except Exception as error:
                # A database that is away for a while comes back.
                LOG.error('The log was not maintained: %s', error)
            await asyncio.sleep(_LOOK_SECONDS)

    def lose_keys(self) -> None:
        """End the keys of hosts that have failed since the last call."""
        fallen = self._standings.fallen()
        new = {
            agent: why
            for agent, why in fallen.items()
            if agent not in self._fallen
        }
        if new:
            self._keyring.lose(new)
        self._fallen = fallen

    def remove_content(self) -> int:
        """Remove old content; see
        :meth:`nova_isolation.attestd.evidence.log.Log.remove_content`.
        """
        return self._log.remove_content(time.time() - self._retention)

    def close(self) -> None:
        """End the threads, and release the database."""
        self._api.close()
        self._store.close()


def load_key(path: str) -> signers.CryptoSigner:
    """Return the key of the log.

    :param path: of the file
    :raises nova_isolation.attestd.listener.ListenerError: the file cannot be
        used, or others can read it
    """
    if not path:
        raise listener.ListenerError(
            '[evidence] log_key_file is not set; wanted a private key (PEM, '
            'P-256), because the log signs its heads'
        )
    try:
        key_file.check(path)
        private: typing.Any = serialization.load_pem_private_key(
            pathlib.Path(path).read_bytes(), None
        )
        return signers.CryptoSigner(
            private,
            envelope.trusted(tpm_key.pem(private.public_key()).encode()),
        )
    except (
        https_error.HttpsError,
        bad.BadEvidence,
        OSError,
        TypeError,
        ValueError,
    ) as error:
        raise listener.ListenerError(
            f'[evidence] log_key_file {path} cannot be used: {error}'
        ) from error


def _registrar(
    url: str, attestation: typing.Any
) -> registrar_api.Registrar | None:
    if not url:
        return None
    try:
        client = https_client.Client(
            ca_file=attestation.ca_file,
            cert_file=attestation.cert_file,
            key_file=attestation.key_file,
            timeout=attestation.timeout,
            clock_skew=attestation.clock_skew,
        )
    except https_error.HttpsError as error:
        raise listener.ListenerError(
            f'[evidence] registrar needs the files of '
            f'[isolation_attestation]: {error}'
        ) from error
    if not url.startswith('https://'):
        raise listener.ListenerError(
            f'[evidence] registrar is {url}; wanted https://HOST:PORT'
        )
    return registrar_api.Registrar(url, client)
