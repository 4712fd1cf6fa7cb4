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

"""Our driver and our filter, in the places where Nova's tests look for
Nova's.

:data:`STOCK` leaves Nova as it is: what fails then is not our failure.
"""

import importlib
import os
import typing
from unittest import mock

#: Nothing is put in place of anything.
STOCK = bool(os.environ.get('UPSTREAM_STOCK'))


def put_driver() -> None:
    """Our driver wherever a test names Nova's."""
    if STOCK:
        return
    # Our driver asks libvirt's binding for constants. Nova's tests let nobody
    # import it for the first time.
    importlib.import_module('libvirt')

    from nova.virt import fake
    from nova.virt import libvirt
    from nova.virt.libvirt import driver as libvirt_driver

    from nova_isolation.virt import driver
    from nova_isolation.virt.releases import start_up

    for name, value in vars(libvirt_driver.LibvirtDriver).items():
        # Some tests put a mock in place of one of these and take it away
        # again; on a class that only inherits it, it would be gone then.
        if isinstance(value, (staticmethod, classmethod)):
            setattr(driver.IsolationDriver, name, value)
    if issubclass(driver.IsolationDriver, start_up.StartedBefore34):
        # There the driver needs the compute manager. Nova's stand-in for the
        # way to it has none.
        fake.FakeVirtAPI._compute = mock.MagicMock()
    # Its constructor calls super(LibvirtDriver, self) in Nova 31 and 32, and
    # would find ours under that name.
    init: typing.Any = libvirt_driver.LibvirtDriver.__init__
    libvirt_driver.StockDriver = libvirt_driver.LibvirtDriver
    init.__code__ = init.__code__.replace(
        co_names=tuple(
            'StockDriver' if name == 'LibvirtDriver' else name
            for name in init.__code__.co_names
        )
    )
    libvirt_driver.LibvirtDriver = driver.IsolationDriver
    libvirt.LibvirtDriver = driver.IsolationDriver


def put_filter() -> None:
    """Our filter in each scheduler, also where a test sets the filters.

    Its module brings the request filter.
    """
    if STOCK:
        return
    from nova.scheduler import host_manager

    from nova_isolation.scheduler import filter as isolation_filter

    ours = isolation_filter.IsolationFilter
    load = host_manager.HostManager._load_filters

    def load_with_ours(manager: typing.Any) -> list[str]:
        manager.filter_cls_map[ours.__name__] = ours
        return [*load(manager), ours.__name__]

    host_manager.HostManager._load_filters = load_with_ours


def put_facts() -> None:
    """Facts to measure, the same on each host: one that offers a lot.

    Nova's fake libvirt has no answers for our questions, so all facts would
    be unknown and hardly a trait earned.
    """
    if STOCK:
        return
    from nova_isolation.host import compute_host
    from tests.functional import fixtures

    machine = fixtures.Machine()
    libvirtd = fixtures.Connection(machine, hostname='measured')
    host: typing.Any = compute_host.ComputeHost
    host.read = lambda _, path: machine.read(path)
    host.emulator = lambda _: machine.emulator()
    host._libvirt_answer = lambda _, question, ask: ask(libvirtd)
