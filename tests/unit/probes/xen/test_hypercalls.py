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

"""Tests of nova_isolation.probes.xen.hypercalls, libraries and xenstore.

The libraries are replaced; on a Xen host they are called as they are.
"""

import ctypes
import errno

from nova_isolation.probes.xen import hypercalls
from nova_isolation.probes.xen import libraries
from nova_isolation.probes.xen import xenstore
from tests.unit import base

FLASK = 'system_u:system_r:'


class Control:
    """libxenctrl of a host with two domains and a small policy."""

    sids = ('', f'{FLASK}dom0_t', f'{FLASK}domU_t', 'system_u:object_r:ch_t')

    def __init__(self):
        self.mode, self.error, self.seqno = 1, 0, 1
        self.version = 4 << 16 | 17
        self.build_id = bytes(range(20))
        self.infos = [
            (0, 0, 1, bytes(16)),
            (3, 1 << 3 | 2, 2, bytes(range(16))),
        ]
        self.allowed = 0x10

    def xc_interface_open(self, *_):
        return 1

    def xc_version(self, handle, command, buffer):
        if command == 0:
            return self.version
        if command == 9:
            buffer.value = b'flask=enforcing'
            return 0
        ctypes.memmove(ctypes.addressof(buffer) + 4, self.build_id, 20)
        return len(self.build_id)

    def xc_flask_getenforce(self, handle):
        ctypes.set_errno(self.error)
        return self.mode

    def xc_domain_getinfolist(self, handle, first, count, buffer):
        for info in self.infos:
            if info[0] >= first.value:
                found = hypercalls._DomainInfo.from_buffer(buffer)
                found.domain, found.flags, found.ssidref = info[:3]
                found.handle = (ctypes.c_ubyte * 16)(*info[3])
                return 1
        return 0

    def xc_flask_context_to_sid(self, handle, text, size, sid):
        label = text.raw[: size.value].decode()
        if label not in self.sids:
            ctypes.set_errno(self.error or errno.EINVAL)
            return -1
        sid._obj.value = self.sids.index(label)
        return 0

    def xc_flask_sid_to_context(self, handle, sid, buffer, size):
        buffer.value = self.sids[sid.value].encode()
        return 0

    def xc_flask_op(self, handle, operation):
        operation._obj.newsid = 3
        return 0

    def xc_flask_access(self, handle, source, target, kind, asked, *numbers):
        ctypes.set_errno(self.error)
        values = (self.allowed, 0xFFFFFFFF, 0, 0xFFFFFFFF, self.seqno)
        for number, value in zip(numbers, values, strict=True):
            number._obj.value = value
        return -1


class HypercallsTest(base.TestCase):
    """What the library returns, and what is made of it."""

    def setUp(self):
        super().setUp()
        self.control = Control()
        self.calls = hypercalls.Hypercalls(self.control, '4.17')

    def test_layout(self):
        # By offsetof in a program that includes xen/domctl.h and
        # xen/xsm/flask_op.h of 4.17.7 and of 4.20.4.
        info = hypercalls._DomainInfo
        self.assertEqual(
            [0, 4, 8, 72, 76],
            [
                getattr(info, name).offset
                for name in ('domain', 'flags', 'pages', 'ssidref', 'handle')
            ],
        )
        self.assertEqual(96, ctypes.sizeof(info))
        self.assertEqual(20, hypercalls._Transition.newsid.offset)

    def test_answers(self):
        self.assertEqual(
            {
                'version': '4.17',
                'flask': 'enforcing',
                'seqno': 1,
                'build_id': bytes(range(20)).hex(),
                'command_line': 'flask=enforcing',
            },
            self.calls.hypervisor(),
        )
        dom0, guest = self.calls.domains(True)
        self.assertEqual(0, dom0['id'])
        self.assertEqual(
            {
                'id': 3,
                'uuid': '00010203-0405-0607-0809-0a0b0c0d0e0f',
                'label': f'{FLASK}domU_t',
                'paused': True,
                'dying': False,
                'hvm': True,
            },
            guest,
        )

    def test_modes(self):
        self.control.mode = 0
        self.assertEqual('permissive', self.calls.hypervisor()['flask'])
        self.control.mode, self.control.error = -1, errno.ENOSYS
        self.assertEqual('absent', self.calls.hypervisor()['flask'])
        for mode, error in ((-1, errno.EACCES), (-1, 0), (2, 0), (-38, 0)):
            self.control.mode, self.control.error = mode, error
            self.assertRaises(OSError, self.calls.hypervisor)

    def test_labels(self):
        known = self.calls.label(f'{FLASK}domU_t', f'{FLASK}dom0_t')
        self.assertTrue(known['creatable'])
        self.control.allowed = 0xFFFFFFEF
        known = self.calls.label(f'{FLASK}domU_t', f'{FLASK}dom0_t')
        self.assertFalse(known['creatable'])
        unknown = self.calls.label(f'{FLASK}nosuch_t', f'{FLASK}dom0_t')
        self.assertIsNone(unknown['canonical'])
        self.control.error = errno.EACCES
        self.assertRaises(
            OSError, self.calls.label, f'{FLASK}nosuch_t', f'{FLASK}dom0_t'
        )

    def test_access(self):
        found = self.calls.access(f'{FLASK}domU_t', f'{FLASK}dom0_t')
        self.assertEqual((True, 0x10), (found['known'], found['grant']))
        found = self.calls.access(f'{FLASK}domU_t', f'{FLASK}nosuch_t')
        self.assertEqual((False, 0), (found['known'], found['grant']))

    def test_what_makes_no_sense(self):
        for name, value in (
            ('seqno', 0),
            ('version', 4 << 16 | 18),
            ('version', -1),
            ('infos', []),
            ('infos', [(5, 0, 1, bytes(16))]),
            ('sids', ('', 'no label', 'x')),
            ('build_id', b''),
            ('error', errno.EACCES),
        ):
            self.control = Control()
            setattr(self.control, name, value)
            calls = hypercalls.Hypercalls(self.control, '4.17')
            self.assertRaises((OSError, ValueError), calls.hypervisor)

    def test_releases(self):
        for version in ('4.16', '4.18', '4.170', '5.0', '', '4.17.5'):
            error = self.assertRaises(OSError, libraries.control, version)
            self.assertEqual(errno.EOPNOTSUPP, error.errno)


class Store:
    """libxenstore, with these values."""

    def __init__(self, values):
        self.values = values
        self.kept = []

    def xs_open(self, flags):
        return 1

    def xs_read(self, handle, transaction, path, size):
        value = self.values.get(path.decode())
        if value is None:
            ctypes.set_errno(errno.ENOENT)
            return None
        if isinstance(value, int):
            ctypes.set_errno(value)
            return None
        data = ctypes.create_string_buffer(value.encode())
        self.kept.append(data)
        size._obj.value = len(value)
        return ctypes.addressof(data)

    def xs_directory(self, handle, transaction, path, count):
        below = path.decode() + '/'
        names = {
            key[len(below) :].split('/')[0].encode()
            for key in self.values
            if key.startswith(below)
        }
        if not names:
            ctypes.set_errno(errno.ENOENT)
            return None
        count._obj.value = len(names)
        return (ctypes.c_char_p * len(names))(*names)


def noted(kind, name, backend):
    """A device that the toolstack has noted."""
    return {f'/libxl/7/device/{kind}/{name}/backend': backend}


class XenstoreTest(base.TestCase):
    """What is read of xenstore."""

    def store(self, values):
        store = xenstore.Xenstore(Store(values))
        store._free = lambda pointer: None
        return store

    def test_devices(self):
        path = '/local/domain/4/backend/vbd/7/51712'
        store = self.store(
            {**noted('vbd', '51712', path), f'{path}/state': '4'}
        )
        (found,) = store.devices(7)
        self.assertEqual(
            {
                'kind': 'vbd',
                'name': '51712',
                'backend': 4,
                'driver': 'vbd',
                'state': 4,
            },
            found,
        )
        self.assertEqual([], list(store.devices(8)))

    def test_devices_that_make_no_sense(self):
        for backend in (
            '',
            '/local/domain/4/backend/vbd/8/51712',
            '/local/domain/x/backend/vbd/7/51712',
            '/local/domain/4/backend/vbd/7/51712/state',
            '/local/domain/4/backend/vbd/7',
        ):
            store = self.store(noted('vbd', '51712', backend))
            self.assertRaises(ValueError, list, store.devices(7))
        store = self.store(noted('vbd', '51712', errno.EACCES))
        self.assertRaises(OSError, list, store.devices(7))

    def test_device_model(self):
        self.assertFalse(self.store({}).has_model(7))
        for path in (
            '/local/domain/0/device-model/7',
            '/local/domain/7/image/device-model-pid',
            '/local/domain/7/image/device-model-domid',
        ):
            self.assertTrue(self.store({path: ''}).has_model(7))
            self.assertFalse(self.store({path: ''}).has_model(70))
        store = self.store({'/local/domain/0/device-model/7': errno.EIO})
        self.assertRaises(OSError, store.has_model, 7)
