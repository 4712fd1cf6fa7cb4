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

"""The placement traits that report what a host offers.

Traits only narrow the hosts that placement names; the decision is made on the
facts. So a requirement may have no trait where traits cannot express it (one
hypervisor of several). A trait is never wrong for long: the next measurement
removes a trait that is no longer true.
"""

import re

#: The prefix of all traits of this project, and of no other traits.
PREFIX = 'CUSTOM_ISOLATION_'

#: The pattern of the traits of this project; placement allows 255 characters.
PATTERN = re.compile(PREFIX + '[A-Z0-9_]{1,238}')

#: Every host that runs the driver of this project has this trait, and every
#: request for a tagged flavor requires it. A forced host (``az:host``) skips
#: the filters of the scheduler; without this trait placement would name a
#: host with another driver.
GUARDED = PREFIX + 'GUARDED'


def name(*words: str) -> str:
    """Return the name of a trait.

    :param words: e.g. ``'QEMU', 'ABSENT', 'usb-redir'``
    :returns: e.g. ``CUSTOM_ISOLATION_QEMU_ABSENT_USB_REDIR``; placement
        allows ``[A-Z0-9_]``, at most 255 characters
    """
    text = re.sub('[^A-Z0-9]', '_', '_'.join(words).upper())
    return (PREFIX + text)[:255]
