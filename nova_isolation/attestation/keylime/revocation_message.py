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

"""Keylime's message that an agent is no longer to be trusted.

Keylime sends it by webhook: ``revocation_notifier.py`` and ``prepare_error``
of ``cloud_verifier_common.py`` in Keylime 7.14. The body is
``{"msg": "<JSON>", "signature": ""}``. The message is not signed, so its
reader must trust the TLS peer alone.
"""

import json
import re

from nova_isolation.attestation import provider
from nova_isolation.attestation.keylime import host_map

#: The types of message, and what they mean.
_TYPES = {
    'revocation': 'revoked by its verifier',
    'comm_error': 'its verifier cannot reach it',
}

_AGENT = re.compile(r'[\w.-]{1,255}', re.ASCII)
_TYPE = re.compile(r'[\w.-]{1,40}', re.ASCII)
#: An event's identifier; it is shown in messages only.
_EVENT = re.compile(r'[\w.-]{1,255}', re.ASCII)


def read(body: bytes) -> provider.Revocation:
    """Read the body of a message.

    Each message that names an agent takes trust away, also one of an unknown
    type: a later version of Keylime may have another word for a failure.

    :raises ValueError: the body is not a message of Keylime, or names no agent
    """
    try:
        inner = json.loads(json.loads(body)['msg'])
        agent = inner['agent_id']
        kind, event = inner.get('type'), inner.get('event_id')
    except (LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            'the body is not a revocation message of Keylime: '
            f'{type(error).__name__}'
        ) from None
    if not isinstance(agent, str) or not _AGENT.fullmatch(agent):
        raise ValueError('agent_id is not the identifier of an agent')
    words = _words(kind)
    if isinstance(event, str) and _EVENT.fullmatch(event):
        words += f' ({event})'
    return provider.Revocation(host_map.normal(agent), words)


def _words(kind: object) -> str:
    if not isinstance(kind, str):
        return 'a message of its verifier that has no type'
    if kind in _TYPES:
        return _TYPES[kind]
    shown = kind if _TYPE.fullmatch(kind) else 'that is no word'
    return f'a message of its verifier of an unknown type, {shown}'
