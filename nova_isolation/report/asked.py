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

"""Questions about one thing that are answered now, not from a picture."""

import abc
from collections.abc import Callable

from nova_isolation.evidence import question
from nova_isolation.model import errors
from nova_isolation.model import examination
from nova_isolation.report import picture
from nova_isolation.report import server

#: Returns a flavor as Nova has it now, by its ID or name; an ID comes first.
#: Raises NoSuchFlavor, or any exception where the database cannot be read.
FindFlavor = Callable[[str], picture.Flavor]


class NoSuchFlavor(errors.IsolationError):
    """Nova has no flavor with this ID or name."""


class NoSuchServer(errors.IsolationError):
    """Nova has no such server."""


class NotExamined(errors.IsolationError):
    """The host has not examined the guest. The message says why."""


class HostSilent(NotExamined):
    """The host has not answered in time."""


class NotRunning(NotExamined):
    """The guest does not run, so there is nothing to examine."""


class Servers(abc.ABC):
    """Asks Nova about one server. The methods may take long."""

    @abc.abstractmethod
    def find(self, uuid: str) -> server.Server:
        """Return a server, tagged or not, as Nova has it now.

        :param uuid: its ID
        :raises NoSuchServer: there is none
        :raises Exception: a database cannot be read
        """

    @abc.abstractmethod
    def examine(self, uuid: str) -> examination.Examination:
        """Have the host of a running guest verify the guest again.

        :param uuid: the ID of a server of a tagged flavor
        :returns: what the host has read
        :raises NoSuchServer: there is none
        :raises NotExamined: the host has not examined the guest
        :raises Exception: a database cannot be read
        """

    @abc.abstractmethod
    def state(self, uuid: str, wanted: question.Question) -> question.Answer:
        """Have the host of a running guest verify it, and sign a statement.

        :param uuid: the ID of a server of a tagged flavor
        :param wanted: for whom the statement is, and with which nonce
        :returns: the statement, with which no signature was verified
        :raises NoSuchServer: there is none
        :raises NotExamined: the host has made no statement
        :raises Exception: a database cannot be read
        """
