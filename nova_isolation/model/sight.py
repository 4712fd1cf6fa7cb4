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

"""What a compute host must be able to see of its guests' processes.

A host that cannot see a process of another user cannot verify a guest. The
causes are the host's own: a right that is missing, a namespace, a mount
option. A host finds them out before a guest is sent to it
(:mod:`nova_isolation.host.self_examination`). What it cannot see makes the
facts of each mechanism unknown that needs it
(:attr:`nova_isolation.mechanisms.base.HostMechanism.needs`).
"""

import enum

from nova_isolation.model import errors
from nova_isolation.model import reasons


class Sight(enum.Enum):
    """One thing that a verification reads of a guest's process."""

    #: the process itself, by libvirt's pid file, and its command line, status
    #: and label
    PROCESS = 'process'
    #: which file the process runs
    EXECUTABLE = 'executable'


#: All of them.
ALL = frozenset(Sight)


class Unseen(errors.IsolationError, OSError):
    """The host cannot see something, for a cause of its own.

    Never raised for what a guest can bring about, because a running guest is
    not reported for it.

    :ivar reason: the cause; a reason that is blind
    """

    def __init__(self, reason: reasons.Reason, found: str) -> None:
        """:param reason: the cause, a reason that is blind
        :param found: what was found, for logs
        """
        super().__init__(found)
        self.reason = reason
