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

"""The head of a log that an auditor keeps, and compares with each newer one.

Only who keeps a head finds out that entries were removed or altered, or that
the log shows different entries to different readers.
"""

from collections.abc import Callable
import os
import pathlib
import typing

from nova_isolation.evidence import errors
from nova_isolation.evidence import head as heads
from nova_isolation.evidence import strict_json
from nova_isolation.evidence import trust as trusts

#: The largest answer of a log, in bytes.
_MAX_BYTES = 2**20
_PREFIX = '/v1/evidence'
_OK, _NO_SUCH_HEAD = 200, 400

#: Sends a GET request to the log, and returns the status and the body.
Ask = Callable[[str], tuple[int, bytes]]


def renew(
    path: pathlib.Path,
    ask: Ask,
    trust: trusts.Trust,
) -> str:
    """Compare the newest head of a log with the one that is kept, and keep it.

    The kept head stays if the newest one does not contain all of its entries.

    :param path: the file with the head that is kept. Without one the newest
        head is kept, and nothing is compared.
    :param ask: sends a GET request to the log, and returns the status and the
        body of the answer
    :param trust: the logs that are trusted
    :returns: what was compared, in words
    :raises nova_isolation.evidence.errors.BadEvidence: see there: the log has
        no longer what it had, or its answer is malformed
    :raises OSError: the file cannot be read or written
    """
    kept = None
    if path.exists():
        kept, _ = heads.read(path.read_bytes(), trust.logs)
    value = answer(ask, f'/consistency?from={kept.size if kept else 0}')
    if value is None:
        # The log has fewer entries than the head that is kept.
        value = {**(answer(ask, '/head') or {}), 'path': []}
    if set(value) != {'head', 'path'} or not isinstance(value['path'], list):
        raise malformed()
    newest, log = heads.read(value['head'], trust.logs)
    if kept is not None:
        heads.check_newer(kept, newest, value['path'])
    new = path.with_name(f'{path.name}.new')
    new.write_bytes(strict_json.dumps(value['head']))
    os.replace(new, path)
    if kept is None:
        return (
            f'The log {log} has {newest.size} entries. Its head is kept; '
            'nothing was compared'
        )
    return (
        f'The log {log} has {newest.size} entries, and all of the '
        f'{kept.size} that it had, unaltered'
    )


def answer(ask: Ask, path: str) -> dict[str, typing.Any] | None:
    """Return an answer; None: the log has no such head."""
    status, data = ask(_PREFIX + path)
    if status == _NO_SUCH_HEAD:
        return None
    value = strict_json.loads(data, _MAX_BYTES) if status == _OK else None
    if not isinstance(value, dict):
        raise malformed(f'HTTP {status}')
    return value


def malformed(found: str = 'another document') -> errors.BadEvidence:
    return errors.BadEvidence(
        errors.Code.RECEIPT, f'wanted an answer of a log, found {found}'
    )
