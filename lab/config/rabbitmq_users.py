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

"""The users of RabbitMQ, and what each may do, as RabbitMQ reads it.

The form is that of ``rabbitmqctl export_definitions``.
"""

import base64
import hashlib
from typing import Any

from lab.config import site as sites

_VHOST = '/'
#: The exchange of Nova's messages ([DEFAULT] control_exchange).
_EXCHANGE = 'nova'
#: What oslo.messaging names the queue on which a caller gets its answers.
_REPLIES = r'^reply_.*$'


def definitions(site: sites.Site, salt: bytes) -> dict[str, Any]:
    """The users, and what each may do.

    :param salt: four random bytes
    """
    operator = sites.OPERATOR_API
    return {
        'vhosts': [{'name': _VHOST}],
        'users': [
            _user('lab', site.passwords['rabbitmq'], salt),
            _user(operator, site.passwords[f'{operator}-rabbitmq'], salt),
        ],
        'permissions': [
            _permission('lab', '.*', '.*', '.*'),
            # A caller declares the exchange, also where there is one, which
            # RabbitMQ takes for a change of it.
            _permission(
                operator,
                configure=rf'^({_EXCHANGE}|reply_.*)$',
                write=rf'^{_EXCHANGE}$',
                read=_REPLIES,
            ),
        ],
        # It may call compute hosts, and no other service of Nova. RabbitMQ
        # does not know which method is called.
        'topic_permissions': [
            {
                'user': operator,
                'vhost': _VHOST,
                'exchange': _EXCHANGE,
                'write': r'^compute\..+$',
                'read': '^$',
            }
        ],
    }


def _user(name: str, password: str, salt: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(salt + password.encode()).digest()
    return {
        'name': name,
        'password_hash': base64.b64encode(salt + digest).decode(),
        'hashing_algorithm': 'rabbit_password_hashing_sha256',
        'tags': '',
    }


def _permission(
    user: str, configure: str, write: str, read: str
) -> dict[str, str]:
    return {
        'user': user,
        'vhost': _VHOST,
        'configure': configure,
        'write': write,
        'read': read,
    }
