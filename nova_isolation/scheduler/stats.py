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

"""The facts in the stats of Nova's compute nodes."""

from collections.abc import Mapping

from nova_isolation import facts


def age(stats: Mapping[str, object], now: float) -> float | None:
    """How old the facts are.

    :param stats: the stats of a compute node
    :param now: seconds since the epoch
    :returns: seconds, negative for the future; None where the time is
        missing or malformed
    """
    text = stats.get(facts.TIME_STAT)
    # float() and int() take more than we write: 'nan' compares false with
    # everything, and ' 1_0 ' is nobody's time.
    if (
        not isinstance(text, str)
        or not (text.isascii() and text.isdecimal())
        or len(text) > 12
    ):
        return None
    return now - int(text)
