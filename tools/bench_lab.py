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
from pathlib import Path

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


def _host(options: argparse.Namespace) -> layout.HostLayout | None:
    if options.state is None:
        return None
    folders = sorted(path.name for path in (options.state / 'hosts').iterdir())
    return layout.Layout(options.state).host(folders[0])
