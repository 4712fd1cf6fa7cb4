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
"""The provider ``attestd``: asks nova-isolation-attestd, which asks others.

A long poll: the answer comes as soon as there is another snapshot than the
one that we have. A daemon that knows nothing, because it has just started or
none of its verifiers answers, says so (503); what we have then stays, and
runs out.
"""

import typing

from nova_isolation.attestation import provider
from nova_isolation.attestation import snapshot
from nova_isolation.https import https_client

#: Seconds, at most, that the daemon may take to have news.
_MAX_WAIT = 20.0

#: Characters of the name of a snapshot, and of a refusal.
_MAX_TEXT = 200


class AttestdProvider(provider.Provider):
    """Asks ``[isolation_attestation] url``."""

    #: No more than ten snapshots a second, whatever the daemon does.
    pause = 0.1

    def __init__(self, options: typing.Any) -> None:
        """See the base class."""
        if not options.url.startswith('https://'):
            raise provider.ProviderError(
                f'[isolation_attestation] url is {options.url!r}, must be '
                'https://HOST:PORT of a nova-isolation-attestd'
            )
        self._url = f'{options.url.rstrip("/")}/v1/snapshot'
        # Also where the connection was lost and nobody told us, it is noticed
        # before what we know has run out.
        self._wait = min(_MAX_WAIT, options.max_age / 4)
        self._timeout: float = options.timeout
        self._client = https_client.Client(
            ca_file=options.ca_file,
            cert_file=options.cert_file,
            key_file=options.key_file,
            timeout=options.timeout,
            clock_skew=options.clock_skew,
        )

    def fetch(self, before: snapshot.Snapshot) -> snapshot.Snapshot:
        """See the base class."""
        url, headers, timeout = self._url, {}, self._timeout
        if before.serial:
            url += f'?wait={self._wait:.3f}'
            headers['If-None-Match'] = before.serial
            timeout += self._wait
        answer = self._client.get(url, headers, timeout)
        if answer.status == 304 and before.serial:
            return before
        if answer.status != 200:
            words = answer.body[:_MAX_TEXT].decode('ascii', 'replace')
            raise provider.ProviderError(
                f'{url}: wanted status 200, found {answer.status}: '
                f'{" ".join(words.split())}'
            )
        serial = answer.headers.get('ETag', '')
        if not serial or len(serial) > _MAX_TEXT or not serial.isprintable():
            raise provider.ProviderError(
                f'{url}: wanted the name of the snapshot (ETag), found '
                f'{serial[:_MAX_TEXT]!r}; is it a nova-isolation-attestd?'
            )
        try:
            return snapshot.loads(answer.body, serial)
        except snapshot.SnapshotError as error:
            raise provider.ProviderError(f'{url}: {error}') from error

    def close(self) -> None:
        """See the base class."""
        self._client.close()
