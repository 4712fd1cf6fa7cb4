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

"""The host of a lab cloud that a benchmark measures."""

import argparse
from collections.abc import Iterator
import contextlib
from pathlib import Path
import time

from lab.cloud import cloud as clouds
from lab.guests import guests
from lab.run import errors
from lab.run import layout


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say which libvirt a benchmark asks."""
    parser.add_argument(
        '--state', type=Path, help='a lab cloud; its first host is measured'
    )
    parser.add_argument('--uri', default='qemu:///system')
    parser.add_argument('--run-dir', default='/run/libvirt/qemu')


def uri(options: argparse.Namespace) -> str:
    """How libvirt is reached."""
    host = _host(options)
    return str(options.uri) if host is None else host.uri


def run_dir(options: argparse.Namespace) -> str:
    """The folder in which libvirt writes the process of each guest."""
    host = _host(options)
    if host is None:
        return str(options.run_dir)
    return str(host.pids)


@contextlib.contextmanager
def running_guests(state: Path | None, number: int) -> Iterator[None]:
    """Let untagged guests run on the first host of a lab cloud meanwhile.

    :param state: the folder of the lab cloud; None: there is none
    :param number: of guests
    :raises LabError: a guest does not start
    """
    if state is None:
        yield
        return
    cloud = clouds.Cloud.attach(state)
    maker = guests.Guests(cloud)
    flavor = maker.flavor(f'bench-{time.time_ns()}', {})
    with contextlib.ExitStack() as undo:
        undo.callback(maker.api.compute.delete_flavor, flavor)
        for one in range(number):
            server = maker.boot(
                f'bench-guest-{one}', flavor.id, host=_first(state)
            )
            undo.callback(maker.delete, server)
            if server.status != 'ACTIVE':
                raise errors.LabError(f'{server.name}: {server.fault}')
        yield


def _first(state: Path) -> str:
    return min(path.name for path in (state / 'hosts').iterdir())


def _host(options: argparse.Namespace) -> layout.HostLayout | None:
    if options.state is None:
        return None
    return layout.Layout(options.state).host(_first(options.state))
