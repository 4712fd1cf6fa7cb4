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

"""A check that a server's clock agrees with ours."""

import email.utils

from nova_isolation.https import https_error

#: Resolution of the Date header in seconds: RFC 9110, 5.6.7.
RESOLUTION = 1.0


def check(
    url: str, date: str | None, sent: float, received: float, skew: float
) -> float:
    """Return the server's time, if it agrees with ours.

    The Date header is the time at which the server began to answer (tornado)
    or had the answer. Both lie between our request and the arrival of the
    answer.

    :param url: of the request, for messages
    :param date: the Date header of the answer
    :param sent: when the request was sent, seconds since the epoch
    :param received: when the answer began to arrive, seconds since the epoch
    :param skew: seconds by which the clocks may differ
    :returns: seconds since the epoch by the server's clock
    :raises nova_isolation.https.https_error.HttpsError: the answer has no
        usable Date header, or the clocks differ by more than ``skew``
    """
    try:
        if date is None:
            raise ValueError('none')
        at = email.utils.parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError) as error:
        raise https_error.HttpsError(
            f'{url}: wanted a Date header, found {date!r}; without it the '
            f'clock of the server cannot be checked'
        ) from error
    # The header has no fraction of a second.
    behind = sent - (at + RESOLUTION)
    ahead = at - received
    if max(behind, ahead) > skew:
        raise https_error.HttpsError(
            f'{url}: wanted a clock within {skew:g} s of ours (clock_skew), '
            f'found a clock that is {max(behind, ahead):.0f} s '
            f'{"ahead" if ahead > behind else "behind"}; set both with NTP'
        )
    return at
