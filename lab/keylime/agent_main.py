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

"""Starts the last Keylime agent in Python, with current services.

The interpreter of lab.keylime.environment that has Keylime 6.6.0 runs this.
Current registrars refuse the agent's registration for two reasons, which this
fixes: the request lacks the content type of JSON, and lacks the public
endorsement key when there is a certificate of it.
"""

import json
from typing import Any
from typing import ClassVar

from keylime import keylime_agent
from keylime import registrar_client
from keylime import requests_client

_HEADERS = {'Content-Type': 'application/json'}
_register = registrar_client.doRegisterAgent


class _Client(requests_client.RequestsClient):
    """Adds the content type, and the endorsement key."""

    more: ClassVar[dict[str, str]] = {}

    def post(self, url: str, data: str, **more: Any) -> Any:
        data = json.dumps({**json.loads(data), **self.more})
        return super().post(url, data=data, headers=_HEADERS, **more)

    def put(self, url: str, data: str, **more: Any) -> Any:
        return super().put(url, data=data, headers=_HEADERS, **more)


def _register_with_key(
    ip: str, port: str, agent: str, key: bytes, *arguments: Any, **more: Any
) -> Any:
    # The key is encoded in base64 already.
    _Client.more['ek_tpm'] = key.decode()
    return _register(ip, port, agent, key, *arguments, **more)


registrar_client.RequestsClient = _Client
registrar_client.doRegisterAgent = _register_with_key
keylime_agent.main()
