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
"""A record of Nova's databases: as it is now, else as it was read last."""

from collections.abc import Callable
import logging
import typing

from nova_isolation.report import picture
from nova_isolation.service import endpoint
from nova_isolation.service import errors
from nova_isolation.service import questions

LOG = logging.getLogger(__name__)

T = typing.TypeVar('T')

#: How many records are read at once, of a kind.
_THREADS = 8
#: Seconds that the reading of a record may take.
_SECONDS = 5.0

#: The schema of ``read_age_seconds``.
AGE = endpoint.typed(['number', 'null'], minimum=0)


class Records(typing.Generic[T]):
    """Reads records of one kind.

    :ivar kind: what they are, for messages
    """

    def __init__(self, kind: str, seconds: float = _SECONDS) -> None:
        """:param kind: what they are, for messages

        :param seconds: how long a reading may take
        """
        self.kind = kind
        self._questions: questions.Questions[T] = questions.Questions(
            _THREADS, seconds
        )

    async def read(
        self,
        call: endpoint.Call,
        find: Callable[[str], T],
        name: str,
        missing: type[Exception],
        last: Callable[[picture.Picture], T | None],
    ) -> tuple[T, float | None]:
        """Return a record, and how many seconds ago it was read.

        The age is None where the record was read for this answer.

        :param call: the request
        :param find: reads the record; may take long
        :param name: the name of the record
        :param missing: what ``find`` raises where there is no such record
        :param last: finds the record in the picture of the cloud, for a
            database that does not answer
        :raises nova_isolation.service.errors.ApiError: the database does not
            answer, and the record was not read before
        :raises Exception: of the type ``missing``
        """
        try:
            return await self._questions.ask(find, name), None
        except missing:
            raise
        except Exception as error:
            # A database may be away in many ways, and the words of a driver
            # may hold credentials.
            why = type(error).__name__
            LOG.warning(
                "Nova's databases cannot be asked about a %(kind)s: %(why)s",
                {'kind': self.kind, 'why': why},
            )
            seen, age = call.aged_picture()
            found = last(seen)
            if found is None:
                raise unread(self.kind, why) from error
            return found, round(age, 1)


def unread(kind: str, why: str) -> errors.ApiError:
    """Return the error that Nova's databases do not answer.

    :param kind: what was asked about
    :param why: why they do not, without credentials
    """
    return errors.ApiError(
        errors.CLOUD_UNREAD,
        f"Nova's databases cannot be asked about the {kind}: {why}",
        {'Retry-After': '10'},
    )
