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

"""The exceptions that carry a refusal through Nova."""

from collections.abc import Iterable

from nova import exception

from nova_isolation.mechanisms import registry
from nova_isolation.model import errors
from nova_isolation.model import fault_message
from nova_isolation.model import reasons


class GuestRefused(exception.GroupAffinityViolation, errors.IsolationError):
    """The guest may not run on this host.

    Nova's compute manager answers a GroupAffinityViolation by trying the
    next host without counting a failed build of this one
    (nova.compute.manager, ``_build_and_run_instance``). No other exception
    has that effect.

    The message is for the owner of the server: Nova shows it to him in the
    fault, also as part of its own messages and of what another service says.
    :attr:`details` is for admins.
    """

    #: Every fault message of ours begins with this.
    MARK = 'Isolation refuses the guest'

    msg_fmt = MARK + ': %(reasons)s'

    def __init__(self, unmet: Iterable[reasons.Unmet]) -> None:
        """:param unmet: the requirements that are not met"""
        self.unmet = tuple(unmet)
        # Not super(): to mypy, which does not know Nova's classes, that is
        # the exception root of this project.
        exception.GroupAffinityViolation.__init__(
            self,
            reasons=fault_message.fit(
                self.unmet,
                self.msg_fmt % {'reasons': ''},
                registry.get().reasons,
            ),
        )

    @property
    def details(self) -> str:
        """The full message, for admins: in logs and in the details of events,
        which Nova does not show to owners by default. It may be long.
        """
        return self.msg_fmt % {'reasons': '; '.join(map(str, self.unmet))}


class RefusedOnAHost(GuestRefused):
    """A host that Nova tried refused the guest, and no other host is left.

    The other hosts may have failed for other reasons.
    """

    msg_fmt = GuestRefused.MARK + ' on a host that was tried: %(reasons)s'


class GuestViolated(GuestRefused):
    """A running guest no longer meets its requirements. Never raised."""

    msg_fmt = (
        'The running guest violates its isolation requirements: %(reasons)s'
    )
