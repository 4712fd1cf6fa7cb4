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

"""The trust file: whom somebody who verifies evidence believes."""

import dataclasses

from securesystemslib import signer as signers

from nova_isolation.evidence import envelope
from nova_isolation.evidence import errors
from nova_isolation.evidence import strict_json

#: The schema of the file.
VERSION = 1
_MAX_BYTES = 2**20


@dataclasses.dataclass(frozen=True)
class Trust:
    """Whom one believes.

    :ivar logs: the keys of logs. A statement in one of them counts if its
        host was in good standing.
    :ivar hosts: keys of hosts. A statement that one of them has signed counts
        without a log.
    :ivar file_keys: whether a statement counts that was signed by a key in a
        file, if a log has it
    """

    logs: tuple[signers.Key, ...] = ()
    hosts: tuple[signers.Key, ...] = ()
    file_keys: bool = False


def loads(data: bytes) -> Trust:
    """Read a trust file.

    :param data: JSON: ``{"v": 1, "logs": [PEM, ...], "hosts": [PEM, ...],
        "file_keys": false}``
    :raises nova_isolation.evidence.errors.BadEvidence: it is malformed, or
        trusts nobody
    """
    value = strict_json.loads(data, _MAX_BYTES)
    if (
        not isinstance(value, dict)
        or set(value) != {'v', 'logs', 'hosts', 'file_keys'}
        or value['v'] != VERSION
        or type(value['file_keys']) is not bool
    ):
        raise _bad('exactly v (1), logs, hosts and file_keys')
    logs, hosts = (_keys(name, value[name]) for name in ('logs', 'hosts'))
    if not (logs or hosts):
        raise _bad('a key in logs or in hosts')
    return Trust(logs, hosts, value['file_keys'])


def _keys(name: str, value: object) -> tuple[signers.Key, ...]:
    if not isinstance(value, list) or not all(
        isinstance(one, str) for one in value
    ):
        raise _bad(f'{name}: a list of public keys (PEM)')
    return tuple(envelope.trusted(one.encode()) for one in value)


def _bad(wanted: str) -> errors.BadEvidence:
    return errors.BadEvidence(
        errors.Code.TRUST, f'the trust file: wanted {wanted}'
    )
