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

"""What is read of xenstore, through libxenstore.

The results are the fields of the classes of
:mod:`nova_isolation.probes.xen.answers`. Whoever reads them checks them, so
nothing that takes long is imported here.
"""

from collections.abc import Iterator
import ctypes
import errno
import re

from nova_isolation.probes.xen import libraries

#: Where the toolstack notes which domain serves a device. The guest may write
#: to its own part, and to nothing of this one.
_NOTED = '/libxl/{domain}/device'

_BACKEND = re.compile(
    r'/local/domain/([0-9]+)/backend/([a-z0-9_]+)/([0-9]+)/([0-9]+)', re.ASCII
)


class Xenstore:
    """xenstore, as root of dom0 may read it."""

    def __init__(self, library: ctypes.CDLL) -> None:
        """:param library: libxenstore
        :raises OSError: xenstore does not answer
        """
        self._xs = library
        self._free = ctypes.CDLL(None).free
        self._free.argtypes = [ctypes.c_void_p]
        self._handle = ctypes.c_void_p(library.xs_open(0))
        if not self._handle.value:
            raise libraries.failure('xs_open')

    def devices(self, domain: int) -> Iterator[dict[str, object]]:
        """Return the devices of a domain, and the domains that serve them.

        :param domain: the number of the domain
        :raises OSError, ValueError: they cannot be read, or make no sense
        """
        noted = _NOTED.format(domain=domain)
        for kind in self._names(noted):
            for name in self._names(f'{noted}/{kind}'):
                path = self._read(f'{noted}/{kind}/{name}/backend')
                match = _BACKEND.fullmatch(path or '')
                if match is None or match[3] != str(domain):
                    raise ValueError(f'{kind} {name} is served by {path!r}')
                state = self._read(f'{path}/state')
                yield {
                    'kind': kind,
                    'name': name,
                    'backend': int(match[1]),
                    'driver': match[2],
                    'state': int(state) if state else 0,
                }

    def has_model(self, domain: int) -> bool:
        """Return whether the toolstack has noted a device model.

        :param domain: the number of the domain
        """
        return any(
            self._read(path) is not None
            for path in (
                f'/local/domain/0/device-model/{domain}',
                f'/local/domain/{domain}/image/device-model-pid',
                f'/local/domain/{domain}/image/device-model-domid',
            )
        )

    def _read(self, path: str) -> str | None:
        """Return the value at a path; None: there is none."""
        size = ctypes.c_uint()
        value = self._xs.xs_read(
            self._handle, 0, path.encode('ascii'), ctypes.byref(size)
        )
        if not value:
            self._check_missing(path)
            return None
        try:
            return ctypes.string_at(value, size.value).decode('ascii')
        finally:
            self._free(value)

    def _names(self, path: str) -> list[str]:
        """Return what is below a path; empty where it does not exist."""
        count = ctypes.c_uint()
        names = self._xs.xs_directory(
            self._handle, 0, path.encode('ascii'), ctypes.byref(count)
        )
        if not names:
            self._check_missing(path)
            return []
        try:
            return sorted(
                (names[number] or b'').decode('ascii')
                for number in range(count.value)
            )
        finally:
            self._free(names)

    def _check_missing(self, path: str) -> None:
        if ctypes.get_errno() != errno.ENOENT:
            raise libraries.failure(f'xenstore: {path}')
