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

"""Which of Nova's functional tests are run with ours in place of Nova's.

All of them take more than an hour on two cores. Chosen are those in which a
guest is made, started or moved, or a host says what it has: with Nova's
libvirt driver, which ours replaces, and with Nova's fake driver, where ours
is the scheduler's filter and request filter. What neither starts, moves nor
recovers a guest in a way of its own runs before a release only.
"""

from collections.abc import Iterator
import pkgutil

from nova.tests import functional
from nova.tests.functional import libvirt

#: What each run of all layers has: modules, and classes where a module has too
#: many tests, below nova.tests.functional.
EACH_RUN = (
    # Our driver
    'libvirt.test_amd_sev',
    'libvirt.test_evacuate',
    'libvirt.test_intel_tdx',
    'libvirt.test_live_migration',
    'libvirt.test_migration_addr',
    'libvirt.test_numa_servers.NUMAServersRebuildTests',
    'libvirt.test_numa_servers.ReshapeForPCPUsTest',
    'libvirt.test_rescue_deleted_base',
    'libvirt.test_reshape',
    'libvirt.test_rt_servers',
    # Our filter
    'test_cold_migrate',
    'test_servers.ServerRescheduleTests',
    'test_servers.TraitsBasedSchedulingTest',
)

#: The rest: what a guest or a host has that is not ours to choose, with our
#: driver, and our filter with Nova's fake driver.
BEFORE_A_RELEASE = (
    # Our driver
    'libvirt.test_device_bus_migration',
    'libvirt.test_machine_type',
    'libvirt.test_pci_in_placement.PlacementPCIAllocationHealingTests',
    'libvirt.test_pci_sriov_servers.PCIServersTest',
    'libvirt.test_power_manage',
    'libvirt.test_report_cpu_traits',
    'libvirt.test_server_shares.ServerSharesColdMigrateTest',
    'libvirt.test_shared_resource_provider',
    'libvirt.test_uefi',
    'libvirt.test_vif_model',
    'libvirt.test_vpmem',
    # Our filter
    'test_server_group.ServerGroupAffinityConfTest',
    'test_server_group.ServerGroupAntiAffinityConfTest',
    'test_server_group.ServerGroupSoftAffinityConfTest',
    'test_server_group.ServerGroupSoftAntiAffinityConfTest',
    'test_server_group.TestAntiAffinityLiveMigration',
    'test_servers.CreateServerConstraintsTest',
    'test_servers.PollUnconfirmedResizesTest',
    'test_servers.PortBindingShelvedServerTest',
    'test_servers.ServerBuildAbortTests',
    'test_servers.ServerDeleteBuildTests',
    'test_servers.ServerLiveMigrateForceAndAbort',
    'test_servers.ServerMovingTests',
    'test_servers.ServerRebuildTestCase',
    'test_servers.ServerRebuildTestCaseV293',
    'test_servers.ServerUnshelveSpawnFailTests',
    'test_servers.VolumeBackedServerTest',
    'test_servers_resource_request.LiveMigrateAbortWithPortResourceRequestTest',
    'test_servers_resource_request.PortResourceRequestReSchedulingTest',
)

#: Module -> what of it is left out, and why.
LEFT_OUT = {
    'libvirt.test_numa_live_migration': (
        'as libvirt.test_vgpu (13 tests); they passed where they ended'
    ),
    'libvirt.test_numa_servers': (
        'the placing of NUMA cells (52 tests); the chosen ones move guests'
    ),
    'libvirt.test_pci_in_placement': (
        'inventories of PCI devices below the root provider (30 tests), '
        'which ours leaves alone'
    ),
    'libvirt.test_pci_sriov_servers': (
        'the other kinds of PCI devices (103 tests)'
    ),
    'libvirt.test_server_shares': 'attaching shares, no moves (13 tests)',
    'libvirt.test_stateless_firmware': 'one line of the XML (9 tests)',
    'libvirt.test_vgpu': (
        'its stand-in for a migration runs periodic tasks in a thread that '
        'may outlive the test, which then waits for ever (13 tests)'
    ),
    'libvirt.test_vtpm': (
        'secrets of a TPM on the roads that the chosen ones take (98 tests)'
    ),
    'test_server_external_events': 'no scheduler, no real driver (1 test)',
    'test_server_faults': 'no scheduler, no real driver (1 test)',
    'test_server_group': (
        'the API of server groups, four times over (125 tests)'
    ),
    'test_server_rescue': 'no scheduler, no real driver (6 tests)',
    'test_servers': (
        'the API of servers, accelerators, quotas, and the moving tests '
        'again with nested providers (279 tests)'
    ),
    'test_servers_provider_tree': 'the fake driver reports (11 tests)',
    'test_servers_resource_request': (
        'bandwidth of ports (159 tests): ours asks for nothing there'
    ),
}


def names(chosen: tuple[str, ...]) -> list[str]:
    """What to load.

    :param chosen: one of the two selections
    :raises LookupError: this Nova has a module of these kinds that nobody
        decided about
    """
    known = {
        '.'.join(_module(name)) for name in EACH_RUN + BEFORE_A_RELEASE
    } | set(LEFT_OUT)
    undecided = sorted(set(_modules()) - known)
    if undecided:
        raise LookupError(f'neither chosen nor left out: {undecided}')
    return [f'{functional.__name__}.{name}' for name in chosen]


def _module(name: str) -> Iterator[str]:
    """The parts of a chosen name, without its class."""
    for part in name.split('.'):
        if part[0].isupper():
            return
        yield part


def _modules() -> Iterator[str]:
    """The modules that tests are chosen from."""
    for _, name, _ in pkgutil.iter_modules(libvirt.__path__):
        if name.startswith('test_'):
            yield f'libvirt.{name}'
    for _, name, _ in pkgutil.iter_modules(functional.__path__):
        if name.startswith(('test_server_', 'test_servers')):
            yield name
