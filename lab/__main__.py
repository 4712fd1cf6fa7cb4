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

"""The command line of the lab."""

import argparse
from pathlib import Path
import sys

from lab.cloud import cloud as clouds
from lab.cloud import connection as connections
from lab.config import host_specs
from lab.config import site as sites
from lab.machine import cache as machine_cache
from lab.machine import confined
from lab.machine import kind as kinds
from lab.run import errors
from lab.run import layout as layouts
from lab.run import ports
from lab.run import processes
from lab.xen import machine as xen_machine


def main() -> int:
    """Run one command.

    :returns: the exit status
    """
    parser = argparse.ArgumentParser(
        prog='python -m lab', description='A throw-away OpenStack.'
    )
    parser.add_argument(
        '--state',
        type=Path,
        default=layouts.default_state(),
        metavar='DIR',
        help='the state folder of the lab (default: %(default)s)',
    )
    commands = parser.add_subparsers(dest='command', required=True)
    up = commands.add_parser('up', help='make a new lab and start it')
    up.add_argument(
        '--computes',
        nargs='+',
        default=list(host_specs.DEFAULT),
        metavar='HOST',
        help=f'compute hosts, of {", ".join(host_specs.KNOWN)} '
        f'(default: {" ".join(host_specs.DEFAULT)})',
    )
    up.add_argument(
        '--stock-driver',
        action='store_true',
        help="use Nova's own driver on every host, and no isolation filter",
    )
    up.add_argument(
        '--attested',
        action='store_true',
        help='add Keylime, and a TPM for each host without a security module',
    )
    up.add_argument(
        '--operator',
        action='store_true',
        help='add nova-isolation-api, and users who ask it',
    )
    up.add_argument(
        '--layout',
        choices=host_specs.LAYOUTS,
        default='host',
        help='where nova-compute runs: beside libvirtd, or in a container '
        'without QEMU, as with Kolla-Ansible (default: %(default)s)',
    )
    commands.add_parser('down', help='stop the lab')
    commands.add_parser('status', help='show the daemons and ports of the lab')
    commands.add_parser('ps', help='show the processes of the lab')
    commands.add_parser(
        'machine', help='build the machine of cpu-selinux and cpu-apparmor'
    )
    commands.add_parser('xen', help='build the machine of cpu-xen')
    env = commands.add_parser(
        'env', help='print variables for the openstack command'
    )
    env.add_argument(
        '--user',
        choices=(sites.ADMIN, sites.AUDITOR, sites.OWNER, sites.STRANGER),
        default=sites.ADMIN,
        help='whose; all but the first are of a lab with --operator '
        '(default: %(default)s)',
    )
    arguments = parser.parse_args()
    action = {
        'up': _up,
        'down': _down,
        'status': _status,
        'ps': _ps,
        'machine': lambda given: _machine(given, confined.KIND),
        'xen': lambda given: _machine(given, xen_machine.KIND),
        'env': _environment,
    }[arguments.command]
    try:
        return action(arguments)
    except errors.LabError as error:
        sys.stderr.write(f'lab: {error}\n')
        return 1
    except KeyboardInterrupt:
        sys.stderr.write('lab: interrupted\n')
        return 130


def _up(arguments: argparse.Namespace) -> int:
    computes = host_specs.known(arguments.computes)
    if arguments.stock_driver:
        computes = [host.stock() for host in computes]
    computes = [host.laid_out(arguments.layout) for host in computes]
    clouds.Cloud(
        arguments.state,
        computes,
        attested=arguments.attested,
        operator=arguments.operator,
    ).up()
    return 0


def _down(arguments: argparse.Namespace) -> int:
    clouds.Cloud(arguments.state).down()
    return 0


def _status(arguments: argparse.Namespace) -> int:
    cloud = clouds.Cloud.attach(arguments.state)
    print(f'state folder {cloud.layout.state}')
    for name, daemon in cloud.supervisor.daemons().items():
        state = 'running' if daemon.alive() else 'DEAD'
        print(f'{name:28} pid {daemon.pid:<8} {state}')
    names = list(ports.NAMES)
    if cloud.attested:
        names += ports.ATTESTATION_NAMES
    if cloud.operator:
        names += ports.OPERATOR_NAMES
    for name in names:
        print(f'{name:28} port {cloud.site.ports[name]}')
    return 0


def _ps(arguments: argparse.Namespace) -> int:
    layout = layouts.Layout(arguments.state.absolute())
    for pid, command in sorted(processes.belonging(layout).items()):
        print(f'{pid:8} {command[:150]}')
    return 0


def _machine(arguments: argparse.Namespace, kind: kinds.Kind) -> int:
    cloud = clouds.Cloud(arguments.state)
    image = machine_cache.image(kind, cloud.supervisor, cloud.progress)
    print(f'the machine is in {image.folder}')
    return 0


def _environment(arguments: argparse.Namespace) -> int:
    cloud = clouds.Cloud.attach(arguments.state)
    if arguments.user != sites.ADMIN and not cloud.operator:
        raise errors.LabError(
            f'the lab in {cloud.layout.state} has no user {arguments.user}: '
            'start it with --operator'
        )
    for name, value in connections.environment(
        cloud.site, arguments.user
    ).items():
        print(f'export {name}={value}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
