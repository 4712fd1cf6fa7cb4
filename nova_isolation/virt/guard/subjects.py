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

"""What the statements about guests are about."""

import hashlib

from oslo_log import log as logging

from nova_isolation.evidence import statement
from nova_isolation.host import bounded_calls
from nova_isolation.mechanisms import base
from nova_isolation.mechanisms import sources
from nova_isolation.virt.guard import hypervisor as hypervisors

LOG = logging.getLogger(__name__)


class Subjects:
    """Reads which run of a guest there is, with which XML."""

    def __init__(
        self,
        hypervisor: hypervisors.Hypervisor,
        calls: bounded_calls.BoundedCalls,
    ) -> None:
        """:param hypervisor: the virtualization stack of this host
        :param calls: limits the time of each reading
        """
        self._hypervisor = hypervisor
        self._calls = calls
        #: why the subject of a guest could not be read last; '': it could
        self._failure = ''

    def of(self, guest: sources.Guest) -> statement.Subject | None:
        """What a statement about a guest is about. Raises nothing.

        :param guest: the guest, as the hypervisor shows it
        :returns: None where that could not be read
        """

        def read() -> statement.Subject:
            return statement.Subject(
                guest.uuid,
                self._hypervisor.boot(guest),
                hashlib.sha256(guest.domain_xml().encode()).hexdigest(),
            )

        try:
            subject = self._calls.call(('subject', guest.uuid), read)
        except base.FAILURES as error:
            # The guest runs all the same, and nothing is stated of it. What
            # ails all guests is said once.
            failure = type(error).__name__
            LOG.log(
                logging.DEBUG if failure == self._failure else logging.WARNING,
                'There is no statement about the guest, because its run or '
                'its XML cannot be read',
                exc_info=True,
                instance_uuid=guest.uuid,
            )
            self._failure = failure
            return None
        self._failure = ''
        return subject
