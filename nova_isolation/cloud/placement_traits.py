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

"""The traits of isolation that placement holds for compute nodes."""

from collections.abc import Callable
from collections.abc import Mapping
import logging
import threading
import time
import typing
import urllib.parse

from nova.scheduler.client import report

from nova_isolation.model import errors
from nova_isolation.model import traits

LOG = logging.getLogger(__name__)

#: Traits of compute nodes, by their UUIDs; None: not known.
Held = Mapping[str, frozenset[str]] | None

#: Seconds for which an answer is kept: only the audit needs it, and it takes
#: one request for each trait that exists.
_KEPT = 60.0

#: Seconds for which the reading of the cloud waits for placement.
PATIENCE = 2.0

#: The microversion that knows filters by traits (1.18).
_VERSION = '1.18'


class PlacementUnread(errors.IsolationError):
    """Placement cannot be asked. The message has no credentials."""


class KeptTraits:
    """What placement holds, asked for now and then, in a thread of its own.

    The reading of the databases does not wait for a placement that hangs:
    without it, the service still answers everything but a part of the audit.
    For one caller at a time.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        patience: float = PATIENCE,
    ) -> None:
        """:param clock: seconds; never set back

        :param patience: seconds for which :meth:`now` waits
        """
        self._clock = clock
        self._patience = patience
        self._asked_at = 0.0
        self._asking: threading.Thread | None = None
        self._answer: tuple[Held, str] = None, 'placement has not answered yet'

    def now(self) -> tuple[Held, str]:
        """Return the traits, as placement had them a minute ago at most.

        :returns: the traits, and why they are not known, or ''
        """
        now = self._clock()
        old = self._asking is None or now - self._asked_at >= _KEPT
        if self._asking is not None and self._asking.is_alive():
            if old:
                self._tell(None, 'placement has not answered in time')
        elif old:
            self._asked_at = now
            self._asking = threading.Thread(
                target=self._ask, name='isolation-traits', daemon=True
            )
            self._asking.start()
            self._asking.join(self._patience)
        return self._answer

    def _ask(self) -> None:
        try:
            self._tell(of_all_nodes(), '')
        except PlacementUnread as error:
            self._tell(None, str(error))

    def _tell(self, held: Held, trouble: str) -> None:
        before, self._answer = self._answer[1], (held, trouble)
        if trouble and trouble != before:
            LOG.warning(
                'The audit does not know the traits of hosts: %s', trouble
            )


def of_all_nodes() -> dict[str, frozenset[str]]:
    """Return which of our traits placement holds for whom.

    One request for each trait that exists, however many hosts there are.

    :returns: UUID of a resource provider, which is that of the compute node
        -> its traits. Who has none is left out.
    :raises PlacementUnread: placement cannot be asked
    """
    try:
        client = report.SchedulerReportClient()
        names = _get(client, f'/traits?name=startswith:{traits.PREFIX}')
        found: dict[str, set[str]] = {}
        for name in names['traits']:
            query = urllib.parse.urlencode({'required': name})
            for one in _get(client, f'/resource_providers?{query}')[
                'resource_providers'
            ]:
                found.setdefault(one['uuid'], set()).add(name)
    except PlacementUnread:
        raise
    except Exception as error:
        # keystoneauth has an exception for each way to fail.
        raise PlacementUnread(
            f'placement cannot be asked: {type(error).__name__}'
        ) from error
    return {uuid: frozenset(names) for uuid, names in found.items()}


def _get(client: typing.Any, path: str) -> dict[str, typing.Any]:
    response = client.get(path, version=_VERSION)
    # Nova's client returns None where it has caught an error of keystone.
    status = getattr(response, 'status_code', None)
    if status != 200:
        raise PlacementUnread(
            'placement does not answer'
            if status is None
            else f'placement answers {status}'
        )
    found: dict[str, typing.Any] = response.json()
    return found
