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

"""The placement traits that say what a host offers.

They only narrow the hosts that placement names; what counts is the decision
on the facts. So a trait may be missing where the traits cannot express a
requirement (one hypervisor of several), but it is never wrong for long: what
stops being true is taken away at the next measurement.
"""

import re

#: All traits of this project, and no others, begin with it.
PREFIX = 'CUSTOM_ISOLATION_'

#: What a trait of ours looks like; placement allows 255 characters.
PATTERN = re.compile(PREFIX + '[A-Z0-9_]{1,238}')

#: Every host that runs our driver has it, and every request for a tagged
#: flavor requires it. A forced host (``az:host``) skips the scheduler's
#: filters; without this trait placement would name one with another driver.
GUARDED = PREFIX + 'GUARDED'


def name(*words: str) -> str:
    """The trait of some words.

    :param words: e.g. ``'QEMU', 'ABSENT', 'usb-redir'``
    :returns: e.g. ``CUSTOM_ISOLATION_QEMU_ABSENT_USB_REDIR``; placement
        allows ``[A-Z0-9_]``, at most 255
    """
    text = re.sub('[^A-Z0-9]', '_', '_'.join(words).upper())
    return (PREFIX + text)[:255]
