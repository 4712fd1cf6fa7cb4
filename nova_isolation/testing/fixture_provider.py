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

"""An attestation provider for tests, whose verdicts are in a file.

For tests of whatever uses attestation. This provider has no entry point,
because anybody who can write the file decides which hosts are trusted. A
cloud must not be able to use it. A test passes the class to
:func:`nova_isolation.attestation.service.build`, or installs an entry point
for its own process.

The file contains a snapshot as text
(:func:`nova_isolation.attestation.snapshot.dumps`). A negative time in it
counts from the modification time of the file.
"""

from collections.abc import Sequence
import os
import types
import typing

from oslo_config import cfg

from nova_isolation.attestation import provider
from nova_isolation.attestation import snapshot
from nova_isolation.attestation.keylime import revocation_message

#: Size limit of the file in bytes.
_MAX = 16 * 2**20

_OPTIONS = (
    cfg.StrOpt(
        'file',
        default='',
        help="""
File with the verdicts: the text of a snapshot.
""",
    ),
)


class FixtureProvider(provider.Provider):
    """Reads its file again whenever the file has changed."""

    pause = 0.2

    @classmethod
    def options(cls) -> Sequence[cfg.Opt]:
        """See the base class."""
        return _OPTIONS

    def __init__(self, common: typing.Any, own: typing.Any) -> None:
        """See the base class."""
        self._path: str = own.file
        if not self._path:
            raise provider.ProviderError(
                '[isolation_attestation_fixture] file is not set; wanted the '
                'path of a file with verdicts'
            )

    def fetch(self, before: snapshot.Snapshot) -> snapshot.Snapshot:
        """See the base class."""
        try:
            with open(self._path, 'rb') as file:
                state = os.fstat(file.fileno())
                serial = f'{state.st_mtime_ns}-{state.st_ino}-{state.st_size}'
                if serial == before.serial:
                    return before
                text = file.read(_MAX)
            found = snapshot.loads(text, serial)
        except (OSError, snapshot.SnapshotError) as error:
            raise provider.ProviderError(
                f'{self._path} cannot be used: {error}'
            ) from error
        changed = state.st_mtime
        return snapshot.Snapshot(
            found.by,
            types.MappingProxyType(
                {
                    name: one._replace(
                        good_at=_absolute(one.good_at, changed),
                        reported_at=_absolute(one.reported_at, changed),
                    )
                    for name, one in found.verdicts.items()
                }
            ),
            found.trouble,
            serial,
        )

    def revocation(self, body: bytes) -> provider.Revocation:
        """See the base class. The messages are those of Keylime."""
        return revocation_message.read(body)


def _absolute(moment: float | None, zero: float) -> float | None:
    return moment + zero if moment is not None and moment < 0 else moment
