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

"""The reasons of a refusal as a user reads them in the fault of a server.

Nova cuts a fault off after 255 bytes. Each reason ends with its code, and the
code must not be the part that is cut off.
"""

from collections.abc import Iterable

from nova_isolation.model import reasons

#: The limit in nova.compute.utils.exception_to_dict.
MAX_BYTES = 255


def fit(unmet: Iterable[reasons.Unmet], before: str) -> str:
    """Return the reasons as one text that fits into a fault.

    Where the full reasons are too long, the text has only their codes, as
    many as there is room for.

    :param unmet: the reasons
    :param before: the text that the fault has before the reasons
    """
    reasons_ = tuple(unmet)
    full = '; '.join(map(str, reasons_))
    room = MAX_BYTES - len(before.encode())
    if len(full.encode()) <= room:
        return full
    short = list(
        dict.fromkeys(f'{u.key or "facts"} [{u.code}]' for u in reasons_)
    )
    for left_out in range(len(short)):
        shown = short[: len(short) - left_out]
        more = [f'and {left_out} more'] if left_out else []
        text = '; '.join([*shown, *more])
        if len(text.encode()) <= room:
            return text
    # Not even one code fits: the keys of other packages may be long.
    return f'{len(short)} requirements are not met'
