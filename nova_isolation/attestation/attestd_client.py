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

"""The provider ``attestd``: asks a nova-isolation-attestd.

The request is a long poll: the daemon answers as soon as it has a newer
snapshot than the one this provider has. A daemon that has started and has not
reached any verifier yet answers 503; this process then keeps the snapshot
that it has, and the verdicts in it expire.
"""

from collections.abc import Sequence
import typing

from oslo_config import cfg

from nova_isolation.attestation import provider
from nova_isolation.attestation import snapshot
from nova_isolation.https import https_client
from nova_isolation.https import https_error

#: The longest time in seconds for which the daemon may wait for news.
_MAX_WAIT = 20.0

#: Characters of an ETag, and of a refusal.
_MAX_TEXT = 200

_OPTIONS = (
    cfg.StrOpt(
        'url',
        default='',
        deprecated_group='isolation_attestation',
        deprecated_name='url',
        help="""
Address of nova-isolation-attestd, ``https://HOST:PORT``.
""",
    ),
)


class AttestdProvider(provider.Provider):
    """Asks the daemon at ``[isolation_attestation_attestd] url``."""

    #: At most ten snapshots a second, whatever the daemon does.
    pause = 0.1

    @classmethod
    def options(cls) -> Sequence[cfg.Opt]:
        """See the base class."""
        return _OPTIONS

    def __init__(self, common: typing.Any, own: typing.Any) -> None:
        """See the base class."""
        if not own.url.startswith('https://'):
            raise provider.ProviderError(
                f'[isolation_attestation_attestd] url is {own.url!r}, must '
                'be https://HOST:PORT of a nova-isolation-attestd'
            )
        self._url = f'{own.url.rstrip("/")}/v1/snapshot'
        # A lost connection that nobody closed must be noticed before the
        # verdicts expire.
        self._wait = min(_MAX_WAIT, common.max_age / 4)
        self._timeout: float = common.timeout
        try:
            self._client = https_client.Client(
                ca_file=common.ca_file,
                cert_file=common.cert_file,
                key_file=common.key_file,
                timeout=common.timeout,
                clock_skew=common.clock_skew,
            )
        except https_error.HttpsError as error:
            raise provider.ProviderError(str(error)) from error

    def fetch(self, before: snapshot.Snapshot) -> snapshot.Snapshot:
        """See the base class."""
        url, headers, timeout = self._url, {}, self._timeout
        if before.serial:
            url += f'?wait={self._wait:.3f}'
            headers['If-None-Match'] = before.serial
            timeout += self._wait
        try:
            answer = self._client.get(url, headers, timeout)
        except https_error.HttpsError as error:
            raise provider.ProviderError(str(error)) from error
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
                f'{url}: wanted an ETag, found {serial[:_MAX_TEXT]!r}; check '
                'that a nova-isolation-attestd listens there'
            )
        try:
            return snapshot.loads(answer.body, serial)
        except snapshot.SnapshotError as error:
            raise provider.ProviderError(f'{url}: {error}') from error

    def close(self) -> None:
        """See the base class."""
        self._client.close()
