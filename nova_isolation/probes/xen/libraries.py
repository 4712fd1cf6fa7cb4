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

"""Xen's libraries, by ctypes.

The toolstack's library libxenctrl has no stable interface: each release of
Xen has one of its own, whose soname has the number of the release, and it
talks to a hypervisor of that release alone. So the library is chosen by the
release of the hypervisor that runs, and only releases whose headers were read
are used. libxenstore has had the same interface since Xen 4.0.

A wrong declaration can end the process. So this runs in a process of its own
(:mod:`nova_isolation.probes.xen.child`).
"""

import ctypes
import errno
import os

#: The releases of Xen whose headers were read: struct
#: xen_domctl_getdomaininfo (interface 0x15 and 0x17), xen_flask_op (1), the
#: declarations of xenctrl.h, and the numbers of FLASK's classes are equal.
#: What is run in the tests is 4.17.
RELEASES = ('4.17', '4.20')

_SYSFS = '/sys/hypervisor'


def release() -> str:
    """Return the release of the hypervisor that runs, such as ``4.17``.

    :raises OSError: there is no Xen
    """
    return f'{_text("version/major")}.{_text("version/minor")}'


def control(version: str) -> ctypes.CDLL:
    """Load libxenctrl.

    :param version: the release of the hypervisor
    :raises OSError: it is not there, or none that is known
    """
    if version not in RELEASES:
        raise OSError(
            errno.EOPNOTSUPP,
            f'Xen {version} is unknown; known are {", ".join(RELEASES)}',
        )
    library = ctypes.CDLL(f'libxenctrl.so.{version}', use_errno=True)
    library.xc_interface_open.restype = ctypes.c_void_p
    library.xc_interface_open.argtypes = [
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_uint,
    ]
    return library


def store() -> ctypes.CDLL:
    """Load libxenstore.

    :raises OSError: it is not there
    """
    library = ctypes.CDLL('libxenstore.so.4', use_errno=True)
    library.xs_open.restype = ctypes.c_void_p
    library.xs_open.argtypes = [ctypes.c_ulong]
    library.xs_close.argtypes = [ctypes.c_void_p]
    for function, result in (
        (library.xs_read, ctypes.c_void_p),
        (library.xs_directory, ctypes.POINTER(ctypes.c_char_p)),
    ):
        function.restype = result
        function.argtypes = [
            ctypes.c_void_p,
            ctypes.c_uint32,
            ctypes.c_char_p,
            ctypes.POINTER(ctypes.c_uint),
        ]
    return library


def failure(what: str) -> OSError:
    """Return the error of a call that has just failed."""
    number = ctypes.get_errno()
    return OSError(number, f'{what}: {os.strerror(number)}')


def _text(name: str) -> str:
    with open(f'{_SYSFS}/{name}', encoding='ascii') as file:
        return file.read(64).strip()
