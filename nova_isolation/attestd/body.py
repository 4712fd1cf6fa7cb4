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

"""The body of an HTTP request, within limits of size and time."""

import asyncio

from starlette import requests

from nova_isolation.model import errors

#: Seconds in which a body must have arrived.
_PATIENCE = 10.0


class BodyError(errors.IsolationError):
    """There is no body, or it is too long, or it has taken too long.

    :ivar status: of the answer
    """

    def __init__(self, status: int, text: str) -> None:
        """:param status: of the answer
        :param text: what was found
        """
        super().__init__(text)
        self.status = status


async def read(request: requests.Request, limit: int) -> bytes:
    """Return the body of a request.

    :param limit: the most bytes
    :raises BodyError: see there
    """
    try:
        return await asyncio.wait_for(_read(request, limit), _PATIENCE)
    # TimeoutError is another name of it since Python 3.11.
    except asyncio.TimeoutError:
        raise BodyError(
            408, f'the body took more than {_PATIENCE:g} s'
        ) from None
    except requests.ClientDisconnect:
        # Nobody reads this answer. Otherwise uvicorn would log a traceback
        # of the exception.
        raise BodyError(400, 'the body has not arrived') from None


async def _read(request: requests.Request, limit: int) -> bytes:
    parts = bytearray()
    async for part in request.stream():
        parts += part
        if len(parts) > limit:
            raise BodyError(413, f'the body has more than {limit} bytes')
    return bytes(parts)
