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

"""Volumes: what a container sees of its host."""

import dataclasses
from pathlib import PurePosixPath


@dataclasses.dataclass(frozen=True)
class Volume:
    """A folder or file of the host that a container sees."""

    source: PurePosixPath
    target: PurePosixPath
    read_only: bool = False

    @classmethod
    def parse(cls, text: str) -> 'Volume':
        """Read ``SOURCE:TARGET`` or ``SOURCE:TARGET:OPTION``.

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
