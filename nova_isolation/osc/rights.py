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
"""What to say where Nova or placement refuses a question to the user."""

from collections.abc import Iterator
import contextlib
import dataclasses

from openstack import exceptions

from nova_isolation.osc import errors

#: The other way where the service has just not answered.
SERVICE = (
    'start nova-isolation-api, which answers admins and readers of the system'
)

_UNAUTHORIZED, _FORBIDDEN = 401, 403


@dataclasses.dataclass(frozen=True)
class Right:
    """What OpenStack's own policies allow to whom.

    :ivar who: the service that refuses
    :ivar what: what it refuses, after "refuses to"
    :ivar role: who may do it by default
    :ivar instead: another way, after "or"; '' for none
    """

    who: str
    what: str
    role: str
    instead: str = ''


@contextlib.contextmanager
def explained(right: Right) -> Iterator[None]:
    """Turn the refusal of a service into one that names the missing role.

    The answer of the service only has the name of its policy, which does not
    tell an auditor that the service takes no token of the system at all.

    :raises nova_isolation.osc.errors.Failure: the service has refused
    """
    try:
        yield
    except exceptions.HttpException as error:
        if error.status_code not in (_UNAUTHORIZED, _FORBIDDEN):
            raise
        raise errors.Failure(
            f'{right.who} refuses to {right.what}: HTTP {error.status_code}. '
            f'By default this is for {right.role}, with a token of a project; '
            f'{right.who} takes no token of the system ("--os-system-scope"). '
            'Use such an account'
            + (f', or {right.instead}' if right.instead else '')
            + '.'
        ) from error
