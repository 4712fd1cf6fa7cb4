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

"""The mechanisms of this tree: the packages beside this module.

The libvirt hook reads this module, so it imports nothing that takes long.
"""

_HERE = __name__.rpartition('.')[0]


def names() -> frozenset[str]:
    """Find the names of the mechanisms.

    Where one of them is not loaded, the installation is broken.
    """
    import os

    with os.scandir(os.path.dirname(__file__)) as found:
        return frozenset(
            entry.name
            for entry in found
            if os.path.exists(os.path.join(entry.path, 'mechanism.py'))
        )


def module(name: str, part: str) -> str:
    """Return the name of a module of a mechanism.

    :param name: of the mechanism
    :param part: of the module in the package: ``mechanism`` has its class,
        ``extra_specs`` its rows, ``definition`` what its guests' XML must
        have, if anything
    """
    return f'{_HERE}.{name}.{part}'
