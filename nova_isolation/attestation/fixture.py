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

"""A provider for tests: the verdicts are in a file.

For tests of those who use nova-isolation. Whoever can write the file says
which hosts are trusted, so it is nothing for a cloud. The file is the text of
a snapshot (:func:`nova_isolation.attestation.snapshot.dumps`); a time in it
that is negative counts from the moment at which the file was changed.
"""

import os
import types
import typing

from nova_isolation.attestation import provider
from nova_isolation.attestation import snapshot

#: Bytes.
_MAX = 16 * 2**20


class FixtureProvider(provider.Provider):
    """Reads ``[isolation_attestation] fixture_file`` when it has changed."""

    pause = 0.2

    def __init__(self, options: typing.Any) -> None:
        """See the base class."""
        self._path: str = options.fixture_file
        if not self._path:
            raise provider.ProviderError(
                '[isolation_attestation] fixture_file is not set; the '
                'provider fixture reads its verdicts there'
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
                        told_at=_absolute(one.told_at, changed),
                    )
                    for name, one in found.verdicts.items()
                }
            ),
            found.trouble,
            serial,
        )


def _absolute(moment: float | None, zero: float) -> float | None:
    return moment + zero if moment is not None and moment < 0 else moment
