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

"""What this project gives to those who deploy with Kolla-Ansible.

The lab's container layout reads the very files of contrib/kolla, so that what
they say is what was tried.
"""

import configparser
import dataclasses
from pathlib import PurePosixPath
from typing import Any

import yaml

from lab.config import ini
from lab.run import layout as layouts

FOLDER = layouts.CHECKOUT / 'contrib' / 'kolla'
_GLOBALS = FOLDER / 'globals.yml'
_NOVA_COMPUTE = FOLDER / 'config' / 'nova' / 'nova-compute.conf'


@dataclasses.dataclass(frozen=True)
class Volume:
    """A folder or file of the host that a container sees."""

    source: PurePosixPath
    target: PurePosixPath
    read_only: bool = False

    @classmethod
    def parse(cls, text: str) -> 'Volume':
        """Read ``SOURCE:TARGET`` or ``SOURCE:TARGET:ro``.

        :raises ValueError: when it has another form
        """
        source, target, *options = text.split(':')
        if options not in ([], ['ro'], ['rw']):
            raise ValueError(f'{text!r} has options that the lab lacks')
        for path in (source, target):
            if not path.startswith('/'):
                raise ValueError(f'{text!r} has a path that is not absolute')
        return cls(
            PurePosixPath(source), PurePosixPath(target), options == ['ro']
        )


def extra_volumes(service: str = 'nova_compute') -> list[Volume]:
    """What ``SERVICE_extra_volumes`` of globals.yml adds to a container."""
    return [
        Volume.parse(one) for one in _globals()[f'{service}_extra_volumes']
    ]


def nova_compute() -> ini.Settings:
    """What nova-compute.conf adds to the configuration of a compute host."""
    parser = configparser.ConfigParser(
        interpolation=None, default_section='', strict=True
    )
    with _NOVA_COMPUTE.open(encoding='utf-8') as file:
        parser.read_file(file)
    return {name: dict(parser[name]) for name in parser.sections()}


def _globals() -> dict[str, Any]:
    found = yaml.safe_load(_GLOBALS.read_text(encoding='utf-8'))
    if not isinstance(found, dict):
        raise ValueError(f'{_GLOBALS} is no mapping')
    return found
