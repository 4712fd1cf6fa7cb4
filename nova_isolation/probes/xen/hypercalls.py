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

"""What is asked of the hypervisor through libxenctrl.

The results are the fields of the classes of
:mod:`nova_isolation.probes.xen.answers`. Whoever reads them checks them, so
nothing that takes long is imported here.
"""

from collections.abc import Iterator
import ctypes
import errno
import itertools
import re

from nova_isolation.probes.xen import libraries

#: The fields of one object.
Fields = dict[str, object]

#: The states of FLASK; the second and the third are those of
#: xc_flask_getenforce.
ABSENT = 'absent'
_MODES = ('permissive', 'enforcing')

#: Numbers of FLASK's classes: their places in
#: xen/xsm/flask/policy/security_classes.
_DOMAIN, _EVENT, _GRANT = 3, 9, 10

#: The permission of the class domain to create one.
_CREATE = 0x10

#: xen/include/public/version.h
_VERSION, _COMMAND_LINE, _BUILD_ID = 0, 9, 10

#: xen/include/public/xsm/flask_op.h
_FLASK_CREATE, _FLASK_INTERFACE = 7, 1

#: XEN_DOMINF_dying, _hvm_guest, _paused
_DYING, _HVM, _PAUSED = 1, 2, 8

#: Bytes of the longest label and command line, and more than those of each
#: structure of the hypervisor.
_BYTES = 1024

#: More domains than a host has (DOMID_FIRST_RESERVED).
_DOMAINS = 0x7FF0

_LABEL = re.compile(r'[\w.]+:[\w.]+:[\w.:,-]+', re.ASCII)


class _DomainInfo(ctypes.Structure):
    """The beginning of struct xen_domctl_getdomaininfo."""

    _fields_ = [
        ('domain', ctypes.c_uint16),
        ('pad', ctypes.c_uint16),
        ('flags', ctypes.c_uint32),
        ('pages', ctypes.c_uint64 * 7),
        ('online_vcpus', ctypes.c_uint32),
        ('max_vcpu_id', ctypes.c_uint32),
        ('ssidref', ctypes.c_uint32),
        ('handle', ctypes.c_ubyte * 16),
    ]


class _Transition(ctypes.Structure):
    """struct xen_flask_op with a struct xen_flask_transition."""

    _fields_ = [
        ('cmd', ctypes.c_uint32),
        ('interface_version', ctypes.c_uint32),
        ('ssid', ctypes.c_uint32),
        ('tsid', ctypes.c_uint32),
        ('tclass', ctypes.c_uint32),
        ('newsid', ctypes.c_uint32),
        # The other members of the union are larger.
        ('rest', ctypes.c_ubyte * 64),
    ]


class Hypercalls:
    """The hypervisor, as root of dom0 may ask it."""

    def __init__(self, library: ctypes.CDLL, version: str) -> None:
        """:param library: libxenctrl, of the release of the hypervisor
        :param version: this release
        :raises OSError: the hypervisor cannot be asked
        """
        self._xc = library
        self._version = version
        self._handle = ctypes.c_void_p(
            library.xc_interface_open(None, None, 0)
        )
        if not self._handle.value:
            raise libraries.failure('xc_interface_open')

    def hypervisor(self) -> Fields:
        """Return what the hypervisor says of itself.

        :raises OSError, ValueError: it does not answer, or not as expected
        """
        found = self._xc.xc_version(self._handle, _VERSION, None)
        version = f'{found >> 16}.{found & 0xFFFF}'
        if version != self._version:
            raise ValueError(f'Xen {version} answers in place of another')
        flask, seqno = self._flask()
        return {
            'version': version,
            'flask': flask,
            'seqno': seqno,
            'build_id': self._build_id(),
            'command_line': self._command_line(),
        }

    def domains(self, labels: bool) -> list[Fields]:
        """Return all domains, dom0 first.

        :param labels: whether the hypervisor has labels
        """
        return [
            {
                'id': info.domain,
                'uuid': _uuid(bytes(info.handle)),
                'label': self._text(info.ssidref) if labels else '',
                'paused': bool(info.flags & _PAUSED),
                'dying': bool(info.flags & _DYING),
                'hvm': bool(info.flags & _HVM),
            }
            for info in self._domains()
        ]

    def label(self, text: str, creator: str) -> Fields:
        """Return how the policy writes a label.

        :param text: the label
        :param creator: the label of the domain that would create one with it
        """
        sid = self._sid(text)
        canonical, allowed = None, 0
        if sid is not None:
            canonical = self._text(sid)
            allowed, _ = self._access(creator, canonical, _DOMAIN)
        return {
            'asked': text,
            'canonical': canonical,
            'creatable': bool(allowed & _CREATE),
        }

    def access(self, source: str, target: str) -> Fields:
        """Return what domains with one label may do to those with another.

        An event channel has a label of its own, which the policy derives from
        those of the two domains (flask_evtchn_unbound and
        flask_evtchn_interdomain in xen/xsm/flask/hooks.c).
        """
        sids = self._sid(source), self._sid(target)
        known, found = False, (0, 0, 0)
        if sids[0] is not None and sids[1] is not None:
            channel = self._transition(sids[0], sids[1])
            known, found = (
                True,
                (
                    self._access(source, channel, _EVENT)[0],
                    self._access(channel, target, _EVENT)[0],
                    self._access(source, target, _GRANT)[0],
                ),
            )
        names = 'channel', 'bound', 'grant'
        return {
            'source': source,
            'target': target,
            'known': known,
            **dict(zip(names, found, strict=True)),
        }

    def _flask(self) -> tuple[str, int]:
        """Return the state of FLASK, and the number of the policy."""
        ctypes.set_errno(0)
        mode = self._xc.xc_flask_getenforce(self._handle)
        if mode == -1 and ctypes.get_errno() == errno.ENOSYS:
            return ABSENT, 0
        if mode not in (0, 1):
            raise libraries.failure(f'xc_flask_getenforce returns {mode}')
        own = self._text(next(self._domains()).ssidref)
        _, seqno = self._access(own, own, _DOMAIN)
        return _MODES[mode], seqno

    def _build_id(self) -> str:
        # struct xen_build_id: a length, then so many bytes
        buffer = ctypes.create_string_buffer(_BYTES)
        ctypes.c_uint32.from_buffer(buffer).value = _BYTES - 8
        size = self._xc.xc_version(self._handle, _BUILD_ID, buffer)
        if not 0 < size <= _BYTES - 8:
            raise libraries.failure(f'the build id has {size} bytes')
        return buffer.raw[4 : 4 + size].hex()

    def _command_line(self) -> str:
        buffer = ctypes.create_string_buffer(_BYTES + 1)
        if self._xc.xc_version(self._handle, _COMMAND_LINE, buffer) < 0:
            raise libraries.failure('the command line')
        return buffer.value.decode('ascii')

    def _domains(self) -> Iterator[_DomainInfo]:
        """Return each domain, dom0 first.

        One at a time, because the size of the structure is not needed then.
        """
        first = 0
        while first < _DOMAINS:
            buffer = ctypes.create_string_buffer(_BYTES)
            count = self._xc.xc_domain_getinfolist(
                self._handle,
                ctypes.c_uint32(first),
                ctypes.c_uint(1),
                buffer,
            )
            if count == 0 and first:
                return
            if count != 1:
                raise libraries.failure(f'{count} domains from {first} on')
            info = _DomainInfo.from_buffer_copy(buffer)
            if info.domain < first or (info.domain and not first):
                raise ValueError(f'domain {info.domain} is none from {first}')
            yield info
            first = info.domain + 1

    def _sid(self, label: str) -> int | None:
        """Return the number of a label; None: the policy has no such label."""
        data = label.encode('ascii')
        sid = ctypes.c_uint32()
        code = self._xc.xc_flask_context_to_sid(
            self._handle,
            ctypes.create_string_buffer(data, len(data)),
            ctypes.c_uint32(len(data)),
            ctypes.byref(sid),
        )
        if code == 0 and sid.value:
            return sid.value
        if code and ctypes.get_errno() == errno.EINVAL:
            return None
        raise libraries.failure(f'{label} has the number {sid.value}')

    def _text(self, sid: int) -> str:
        """Return the label of a number, as the policy writes it."""
        buffer = ctypes.create_string_buffer(_BYTES + 1)
        if self._xc.xc_flask_sid_to_context(
            self._handle,
            ctypes.c_int(sid),
            buffer,
            ctypes.c_uint32(_BYTES),
        ):
            raise libraries.failure(f'the label of number {sid}')
        text = buffer.value.decode('ascii')
        if not _LABEL.fullmatch(text):
            raise ValueError(f'{text!r} is no label')
        return text

    def _transition(self, source: int, target: int) -> str:
        """Return the label of an event channel between two domains."""
        operation = _Transition(
            _FLASK_CREATE, _FLASK_INTERFACE, source, target, _EVENT, 0
        )
        if self._xc.xc_flask_op(self._handle, ctypes.byref(operation)):
            raise libraries.failure('the label of an event channel')
        return self._text(operation.newsid)

    def _access(self, source: str, target: str, kind: int) -> tuple[int, int]:
        """Return the allowed permissions, and the number of the policy."""
        numbers = [ctypes.c_uint32() for _ in range(5)]
        ctypes.set_errno(0)
        code = self._xc.xc_flask_access(
            self._handle,
            source.encode('ascii'),
            target.encode('ascii'),
            ctypes.c_uint16(kind),
            ctypes.c_uint32(0xFFFFFFFF),
            *map(ctypes.byref, numbers),
        )
        # It fails without an error number where not all that was asked for is
        # allowed; the numbers hold then.
        if code and ctypes.get_errno():
            raise libraries.failure(f'{source} on {target}')
        allowed, decided, _, _, seqno = (one.value for one in numbers)
        if not seqno or not decided:
            raise ValueError(f'{source} on {target}: nothing was decided')
        return allowed, seqno


def _uuid(handle: bytes) -> str:
    """Return the text of a UUID."""
    text = handle.hex()
    ends = 0, 8, 12, 16, 20, 32
    return '-'.join(text[a:b] for a, b in itertools.pairwise(ends))
