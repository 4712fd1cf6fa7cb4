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

"""The reasons of a refusal as the owner of a server reads them.

The owner reads what a reason declares as public
(:attr:`nova_isolation.model.reasons.Reason.public`), and of every other
reason the extra spec and the code. Admins read the whole in the log, in the
events of the server and in notifications.

Nova cuts a fault off after 255 bytes. Each reason ends with its code, and the
code must not be the part that is cut off.
"""

from collections.abc import Iterable
from collections.abc import Mapping

from nova_isolation.model import reasons

#: The limit in nova.compute.utils.exception_to_dict.
MAX_BYTES = 255


def fit(
    unmet: Iterable[reasons.Unmet],
    before: str,
    known: Mapping[str, reasons.Reason],
) -> str:
    """Return the reasons as one text that fits into a fault.

    Where the texts for the owner are too long, the text has only their codes,
    as many as there is room for.

    :param unmet: the reasons
    :param before: the text that the fault has before the reasons
    :param known: code -> the reason that declares whether its text is public;
        the text of a code that is missing is not
    """
    reasons_ = tuple(unmet)
    full = '; '.join(dict.fromkeys(_for_owner(u, known) for u in reasons_))
    room = MAX_BYTES - len(before.encode())
    if len(full.encode()) <= room:
        return full
    short = list(dict.fromkeys(map(_code_alone, reasons_)))
    for left_out in range(len(short)):
        shown = short[: len(short) - left_out]
        more = [f'and {left_out} more'] if left_out else []
        text = '; '.join([*shown, *more])
        if len(text.encode()) <= room:
            return text
    # Not even one code fits: the keys of other packages may be long.
    return f'{len(short)} requirements are not met'


def _for_owner(
    unmet: reasons.Unmet, known: Mapping[str, reasons.Reason]
) -> str:
    reason = known.get(unmet.code)
    public = reason is not None and reason.public
    return str(unmet) if public else _code_alone(unmet)


def _code_alone(unmet: reasons.Unmet) -> str:
    return f'{unmet.key or "facts"} [{unmet.code}]'
