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

"""What the log of a lab's Nova says of a guest, and when."""

import datetime
from pathlib import Path
import re

from lab.run import errors


def times(log: Path, uuid: str, words: str) -> list[float]:
    """The times of the lines about a guest that have some words, in seconds.

    Nova writes thousandths of a second.

    :param log: the file
    :param uuid: of the guest's instance
    :param words: of the message
    """
    lines = re.findall(
        rf'^(\S+ \S+) .*\[instance: {uuid}\] .*{re.escape(words)}',
        log.read_text(encoding='utf-8', errors='replace'),
        re.MULTILINE,
    )
    return [
        datetime.datetime.fromisoformat(line).timestamp() for line in lines
    ]


def time(log: Path, uuid: str, words: str) -> float:
    """The time of the only line about a guest that has some words.

    :raises LabError: there is no such line, or more than one
    """
    found = times(log, uuid, words)
    if len(found) != 1:
        raise errors.LabError(
            f'{log} says {len(found)} times of {uuid}: {words}'
        )
    return found[0]
