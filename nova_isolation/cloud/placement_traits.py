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

#: The microversion that knows filters by traits (1.18).
_VERSION = '1.18'


class PlacementUnread(errors.IsolationError):
    """Placement cannot be asked. The message has no credentials."""


class KeptTraits:
    """What placement holds, asked for now and then. For one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """:param clock: seconds; never set back"""
        self._clock = clock
        self._asked_at: float | None = None
        self._answer: tuple[Held, str] = None, 'placement was not asked'

    def now(self) -> tuple[Held, str]:
        """Return the traits, a minute old at most.

        :returns: the traits, and why they are not known, or ''
        """
        now = self._clock()
        if self._asked_at is None or now - self._asked_at >= _KEPT:
            self._asked_at = now
            before = self._answer[1]
            try:
                self._answer = of_all_nodes(), ''
            except PlacementUnread as error:
                self._answer = None, str(error)
                if before != str(error):
                    LOG.warning(
                        'The audit does not know the traits of hosts: %s',
                        error,
                    )
        return self._answer


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
