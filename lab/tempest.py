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

"""Runs Tempest on a cloud of its own, which is stopped afterwards."""

import argparse
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from pathlib import Path
import sys

from lab.cloud import cloud as clouds
from lab.cloud import guest_image
from lab.config import host_specs
from lab.config import ini
from lab.config import tempest
from lab.guests import guests
from lab.run import errors
from lab.run import layout as layouts
from lab.run import signals

_NAME = 'tempest'
#: For all tests together, on a busy machine.
_SECONDS = 3600.0
_STREAM_SECONDS = 120.0
#: The tests of the plugin that need no login to a host.
_PLUGIN = r'^nova_isolation_tempest_plugin\.tests\.(api|scenario)\.'
#: RAM of the flavors in MiB; the smaller one is enough for the lab's guest.
_RAM = (128, 192)
_SETTINGS: dict[str, ini.Options] = {
    # The lab's guest ignores a request to shut down. These options limit the
    # seconds for which Nova waits.
    'DEFAULT': {'shutdown_timeout': 2},
    # A snapshot of a raw disk is as large as the disk of the flavor.
    'libvirt': {'images_type': 'qcow2', 'wait_soft_reboot_seconds': 2},
}


def main() -> int:
    """Run Tempest.

    :returns: the exit status: 0 when tests ran, whether they failed or not
    """
    parser = argparse.ArgumentParser(
        prog='python -m lab.tempest', description=__doc__
    )
    parser.add_argument(
        '--stock-driver',
        action='store_true',
        help="use Nova's own driver on every host, and no isolation filter",
    )
    parser.add_argument(
        '--plugin',
        nargs=2,
        type=Path,
        metavar=('FOLDER', 'STREAM'),
        help="then run the tests of this project's plugin, which is installed "
        'in a folder, and write what ran to a stream of its own',
    )
    parser.add_argument('venv', type=Path, help='where Tempest is installed')
    parser.add_argument(
        'selection',
        type=Path,
        metavar='SELECTION',
        help='regular expressions of tests, one a line',
    )
    parser.add_argument(
        'stream', type=Path, help='where to write what ran, as subunit'
    )
    arguments = parser.parse_args()
    computes = [
        dataclasses.replace(
            host.stock() if arguments.stock_driver else host,
            settings=_SETTINGS,
        )
        for host in host_specs.known(host_specs.DEFAULT)
    ]
    # Two folders: the logs of a run with ours outlive one with stock Nova.
    state = layouts.default_state(
        f'{_NAME}-stock' if arguments.stock_driver else _NAME
    )
    try:
        with (
            signals.termination_raises(),
            clouds.Cloud(state, computes) as cloud,
        ):
            configure(cloud, tempest.plugin())
            _run_own(cloud, arguments)
            if arguments.plugin:
                packages, stream = arguments.plugin
                stream.write_bytes(
                    run_plugin(cloud, arguments.venv, packages, _PLUGIN)
                )
    except errors.LabError as error:
        sys.stderr.write(f'lab: {error}\n')
        return 1
    return 0


def _run_own(cloud: clouds.Cloud, arguments: argparse.Namespace) -> None:
    """Run tests of Tempest itself, and write what ran."""
    packages = _site_packages(arguments.venv)
    arguments.stream.write_bytes(
        _run(
            cloud,
            arguments.venv,
            _NAME,
            packages / 'tempest' / 'api' / 'compute',
            ['--include-list', arguments.selection.absolute()],
        )
    )


def run_plugin(
    cloud: clouds.Cloud, venv: Path, packages: Path, tests: str
) -> bytes:
    """Run tests of this project's plugin, as Tempest finds them.

    :param venv: where Tempest is installed
    :param packages: where the plugin is installed
    :param tests: a regular expression that selects them
    :returns: the results, as a subunit stream
    :raises LabError: when Tempest did not end, or no test began
    """
    return _run(
        cloud,
        venv,
        f'{_NAME}-plugin',
        _site_packages(venv) / 'tempest' / 'test_discover',
        [tests],
        {'PYTHONPATH': str(packages.absolute())},
    )


def _site_packages(venv: Path) -> Path:
    return next(venv.absolute().glob('lib/python3*/site-packages'))


def _run(
    cloud: clouds.Cloud,
    venv: Path,
    name: str,
    path: Path,
    selected: Sequence[str | Path],
    environment: Mapping[str, str] | None = None,
) -> bytes:
    """Run tests.

    :param name: of the daemon, its log, and the folder of the results
    :param path: the folder of the tests
    :param selected: arguments of stestr that select some of them
    :param environment: more variables of the environment
    :returns: the results, as a subunit stream
    :raises LabError: when Tempest did not end, or no test began
    """
    supervisor, folder = cloud.supervisor, _folder(cloud) / name
    folder.mkdir(exist_ok=True)
    stestr = venv.absolute() / 'bin' / 'stestr'
    command: list[str | Path] = [
        stestr,
        '--test-path',
        path,
        '--top-dir',
        _site_packages(venv),
        # The tests of a class share servers.
        '--group-regex',
        r'([^\.]*\.)*',
        'run',
        '--concurrency',
        '2',
        '--suppress-attachments',
        *selected,
    ]
    variables = {
        'PYTHON': str(venv.absolute() / 'bin' / 'python'),
        'TEMPEST_CONFIG_DIR': str(_folder(cloud)),
        **(environment or {}),
    }
    with cloud.progress.step(name):
        daemon = supervisor.start(name, command, variables, folder, ends=True)
        with supervisor.log(name).open(encoding='utf-8') as log:

            def ended() -> bool:
                alive = daemon.alive()
                sys.stdout.write(log.read())
                sys.stdout.flush()
                return not alive

            supervisor.wait(name, ended, _SECONDS, every=1)
    # stestr stores the results in an older format.
    stream = f'{name}-stream'
    supervisor.run(
        stream,
        [stestr, '--repo-url', folder, 'last', '--subunit'],
        _STREAM_SECONDS,
    )
    return supervisor.log(stream).read_bytes()


def configure(cloud: clouds.Cloud, more: ini.Settings) -> None:
    """Write tempest.conf, for a cloud that is up.

    :param more: options for the plugin of this project, and others that win
        over those of the lab
    """
    api = guests.Guests(cloud).api
    flavors = [
        api.compute.create_flavor(
            name=f'tempest-{ram}', ram=ram, vcpus=1, disk=1
        ).id
        for ram in _RAM
    ]
    image = api.image.find_image(guest_image.IMAGE, ignore_missing=False).id
    layouts.write(
        _folder(cloud) / 'tempest.conf',
        ini.render(
            ini.merge(
                tempest.tempest(cloud.site, image, (flavors[0], flavors[1])),
                more,
            )
        ),
    )


def _folder(cloud: clouds.Cloud) -> Path:
    return cloud.layout.data / _NAME


if __name__ == '__main__':
    sys.exit(main())
