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


"""Whether the clock of who answers agrees with ours."""

import email.utils

from nova_isolation.attestation import provider

#: Seconds by which the Date header is exact: RFC 9110, 5.6.7.
RESOLUTION = 1.0


def check(
    url: str, date: str | None, sent: float, received: float, skew: float
) -> float:
    """The time of a peer, if it can be ours.

    A server says when it began to answer (tornado) or when it had the answer:
    somewhere between our question and its arrival.

    :param url: who answered
    :param date: the Date header of the answer
    :param sent: when we asked, seconds since the epoch
    :param received: when the answer began to arrive
    :param skew: seconds by which the clocks may differ
    :returns: the peer's time, seconds since the epoch
    :raises nova_isolation.attestation.provider.ProviderError: there is none,
        or it differs by more
    """
    try:
        if date is None:
            raise ValueError('none')
        at = email.utils.parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError) as error:
        raise provider.ProviderError(
            f'{url}: wanted a Date header, found {date!r}: nobody can tell '
            f'whether its clock is right'
        ) from error
    # Its fraction of a second is cut off.
    behind = sent - (at + RESOLUTION)
    ahead = at - received
    if max(behind, ahead) > skew:
        raise provider.ProviderError(
            f'{url}: wanted a clock within {skew:g} s of ours (clock_skew), '
            f'found one that is {max(behind, ahead):.0f} s '
            f'{"ahead" if ahead > behind else "behind"}; keep both with NTP'
        )
    return at
