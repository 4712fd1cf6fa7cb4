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

"""Who is logged in to the page. The tokens of keystone stay in this process.

The browser has a random name of its session only, in a cookie. A restart of
the service logs everybody out.
"""

from collections import OrderedDict
from collections.abc import Callable
import dataclasses
import hashlib
import hmac
import secrets
import time

#: How many people may be logged in. The one who was seen last the longest time
#: ago has to log in again.
MAX_SESSIONS = 1000
#: How often one user may be logged in, so that nobody crowds out others.
MAX_PER_USER = 8
#: Seconds without a request after which a session ends.
MAX_IDLE = 1800.0


@dataclasses.dataclass(frozen=True)
class Login:
    """What keystone said to a user.

    :ivar token: the token; never shown
    :ivar expires_at: when it expires, in seconds since the epoch
    :ivar user_id: the ID of the user
    :ivar user: the name of the user
    :ivar scope: to what the user has logged in, such as ``project demo``
    """

    token: str = dataclasses.field(repr=False)
    expires_at: float
    user_id: str
    user: str
    scope: str


@dataclasses.dataclass
class Session:
    """One user in one browser.

    :ivar login: what keystone said
    :ivar csrf: what each form of this session has to bring
    :ivar seen_at: when the last request came, in seconds since the epoch
    """

    login: Login
    csrf: str = dataclasses.field(repr=False)
    seen_at: float

    @property
    def user(self) -> str:
        """The name of the user."""
        return self.login.user

    @property
    def scope(self) -> str:
        """To what the user has logged in."""
        return self.login.scope


class Sessions:
    """The sessions of this process. To be used by one thread."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """:param clock: returns the time, in seconds since the epoch"""
        self._clock = clock
        self._key = secrets.token_bytes()
        #: The digest of the name -> the session; the last seen is the last.
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def csrf(self, name: str) -> str:
        """Return what a form has to bring that was made for a cookie.

        :param name: the value of the cookie
        """
        return hmac.new(self._key, name.encode(), 'sha256').hexdigest()

    def may_post(self, name: str, csrf: str) -> bool:
        """Return whether a form was made for the browser that sends it.

        :param name: the value of the cookie
        :param csrf: what the form has brought
        """
        return bool(name) and hmac.compare_digest(
            self.csrf(name).encode(), csrf.encode()
        )

    def add(self, login: Login) -> str:
        """Begin a session.

        :returns: its name, for the cookie
        """
        self._forget_ended()
        self._forget_oldest(login.user_id, MAX_PER_USER - 1)
        self._forget_oldest(None, MAX_SESSIONS - 1)
        name = secrets.token_urlsafe(32)
        self._sessions[_digest(name)] = Session(
            login, self.csrf(name), self._clock()
        )
        return name

    def get(self, name: str) -> Session | None:
        """Return the session of a name, if it has not ended.

        :param name: the value of the cookie
        """
        self._forget_ended()
        found = self._sessions.get(_digest(name))
        if found is not None:
            found.seen_at = self._clock()
            self._sessions.move_to_end(_digest(name))
        return found

    def end(self, name: str) -> Session | None:
        """End the session of a name, and return it."""
        return self._sessions.pop(_digest(name), None)

    def _forget_ended(self) -> None:
        now = self._clock()
        for digest, session in list(self._sessions.items()):
            if (
                now >= session.login.expires_at
                or now >= session.seen_at + MAX_IDLE
            ):
                del self._sessions[digest]

    def _forget_oldest(self, user_id: str | None, most: int) -> None:
        found = [
            digest
            for digest, session in self._sessions.items()
            if user_id in (None, session.login.user_id)
        ]
        for digest in found[: max(0, len(found) - most)]:
            del self._sessions[digest]


def _digest(name: str) -> str:
    # A look-up by the name itself would take a time that depends on it.
    return hashlib.sha256(name.encode()).hexdigest()
