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

"""Reads the files below contrib/, which deployers of containers use.

The lab's containers read them, so that what the files say is what was tried.
"""

import configparser
from pathlib import Path
from typing import Any

import yaml

from lab.config import ini
from lab.run import layout as layouts

FOLDER = layouts.CHECKOUT / 'contrib'


def document(path: Path) -> dict[str, Any]:
    """The only document of a YAML file, which is a mapping.

    :raises ValueError: when it is none
    """
    found = yaml.safe_load(path.read_text(encoding='utf-8'))
    if not isinstance(found, dict):
        raise ValueError(f'{path} is no mapping')
    return found


def settings(text: str) -> ini.Settings:
    """The options in a text like a configuration file."""
    # There is no section whose options are those of all others.
    parser = configparser.ConfigParser(interpolation=None, default_section='')
    parser.read_string(text)
    return {name: dict(parser[name]) for name in parser.sections()}
