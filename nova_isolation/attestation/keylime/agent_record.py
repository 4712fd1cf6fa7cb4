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


"""What Keylime's verifier says of one agent.

Of the status that ``cloud_verifier_common.process_get_status`` makes (Keylime
7.14.3), as ``GET /v2.6/agents/?bulk=true`` gives it for each agent.
"""

from collections.abc import Mapping
import functools
import json
import re
import typing

from nova_isolation.model import attestation_result

#: What the numbers of ``keylime.common.states`` mean.
_WORDS = {
    0: 'registered',
    1: 'started',
    2: 'saved',
    3: 'quoting',
    4: 'no answer to the last quote, tried again',
    5: 'given its key share',
    6: 'not given its key share, tried again',
    7: 'failed',
    8: 'terminated',
    9: 'invalid quote',
    10: 'failed at its end',
}
_GOOD = frozenset({3, 5})
_FAILED = frozenset({7, 9, 10})
_INVALID_QUOTE = 9

#: PCRs of which the verifier compares no value with the policy's: that of
#: IMA's list and that of the key's hash (``Tpm.check_pcrs``).
_NOT_COMPARED = frozenset({10, 16})
_LAST_PCR = 23
#: Hexadecimal digits of SHA-1, SHA-256, SHA-384, SHA-512.
_DIGEST = re.compile(r'[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128}')
_PCR = re.compile(r'0|[1-9][0-9]?')
_EVENT = re.compile(r'[\w.-]{1,60}', re.ASCII)

#: All that is read of a status.
FIELDS = (
    'operational_state',
    'attestation_status',
    'attestation_count',
    'last_received_quote',
    'last_successful_attestation',
    'last_event_id',
    'tpm_policy',
    'has_mb_refstate',
    'has_runtime_policy',
    'meta_data',
)
#: By which a status is recognised. Any of the fields could be the name of an
#: agent, hardly both.
_MARKS = frozenset({'operational_state', 'attestation_status'})

#: Characters of something strange that a message shows.
_SHOWN = 80


class Record(typing.NamedTuple):
    """What is kept of one agent's status.

    :ivar document: a standing, as text
    :ivar good_at: when its last good quote was verified, seconds since the
        epoch by the verifier's clock; None: never
    :ivar told_at: when the verifier said so, likewise
    :ivar host: the host that the agent's meta data name; '' for none
    """

    document: str
    good_at: float | None
    told_at: float
    host: str


def _unique(pairs: list[tuple[str, typing.Any]]) -> dict[str, typing.Any]:
    """An object; ValueError if a name is there twice."""
    whole = dict(pairs)
    if len(whole) != len(pairs):
        raise ValueError('a name twice in one object')
    return whole


_POLICY = json.JSONDecoder(object_pairs_hook=_unique)


def reduce(pairs: list[tuple[str, typing.Any]]) -> dict[str, typing.Any]:
    """Of a status what is read, of any other object all.

    For ``object_pairs_hook`` of :func:`json.loads`: the key share does not
    outlive the parser, and ten thousand agents need little memory.

    :raises ValueError: a name is there twice
    """
    whole = _unique(pairs)
    if not whole.keys() >= _MARKS:
        # ``v`` is a share of an agent's key, or an agent of that name.
        if not isinstance(whole.get('v'), dict):
            whole.pop('v', None)
        return whole
    return {name: whole[name] for name in FIELDS if name in whole}


def read(status: object, at: float) -> Record:
    """What is kept of a status. What cannot be understood is no trust.

    :param status: what :func:`reduce` left of it
    :param at: when the verifier said so, seconds since the epoch by its clock
    """
    if not isinstance(status, Mapping):
        return _unclear('no object', at)
    try:
        state = _number(status, 'operational_state')
        quoted_at = _moment(status, 'last_received_quote')
        good_at = _moment(status, 'last_successful_attestation')
        count = _number(status, 'attestation_count')
        word = status['attestation_status']
        policy = status['tpm_policy']
        if not (isinstance(word, str) and isinstance(policy, str)):
            raise ValueError(
                f'attestation_status {word!r}, tpm_policy {policy!r}'
            )
        document = _document(
            state,
            word,
            bool(count > 0 and good_at),
            _event(status.get('last_event_id')),
            policy,
            _flag(status, 'has_mb_refstate'),
            _flag(status, 'has_runtime_policy'),
        )
        host = _host(status.get('meta_data'))
    except KeyError as error:
        return _unclear(f'no {error.args[0]}', at)
    except ValueError as error:
        return _unclear(str(error), at)
    if state == _INVALID_QUOTE and quoted_at:
        # It says no more of the agent until somebody reactivates it.
        at = quoted_at
    return Record(document, good_at, at, host)


# Alike hosts have equal ones, and a host's changes rarely. Ten thousand that
# are not alike take some 10 MB.
@functools.lru_cache(2**14)
def _document(
    state: int,
    word: str,
    is_quoted: bool,
    event: str,
    policy: str,
    boot: bool,
    runtime: bool,
) -> str:
    """The standing, as text.

    :raises ValueError: something is not as it should be
    """
    pcrs = _pcrs(policy)
    said = f'{_WORDS.get(state, "unknown")} (state {state})'
    if state in _FAILED or word == 'FAIL':
        held, found = attestation_result.FAILED, said
        if event:
            found = f'{said}, {event}'
    elif state not in _GOOD or word != 'PASS':
        held, found = attestation_result.PENDING, f'{said}, {word[:_SHOWN]}'
    elif not is_quoted:
        held, found = attestation_result.PENDING, f'{said}, never a good quote'
    else:
        held, found = attestation_result.GOOD, ''
    return attestation_result.dumps(
        attestation_result.AttestationResult(held, found, pcrs, boot, runtime)
    )


def _unclear(why: str, at: float) -> Record:
    found = f'an answer that cannot be understood: {why[: 2 * _SHOWN]}'
    return Record(
        attestation_result.dumps(
            attestation_result.AttestationResult(
                attestation_result.PENDING, found
            )
        ),
        None,
        at,
        '',
    )


def _pcrs(policy: str) -> tuple[str, ...]:
    """The PCRs that a policy judges: ``17=HEX,HEX``, by number.

    As ``tpm_util.readPolicy`` makes them: beside the PCRs there is ``mask``.

    :raises ValueError: it is malformed
    """
    try:
        entries = _POLICY.decode(policy)
    except (ValueError, RecursionError):
        entries = None
    if not isinstance(entries, dict):
        raise ValueError(f'tpm_policy {policy[:_SHOWN]!r}')
    result = {}
    for name, values in entries.items():
        if name == 'mask':
            continue
        if not _PCR.fullmatch(name) or int(name) > _LAST_PCR:
            raise ValueError(f'tpm_policy for PCR {name[:_SHOWN]!r}')
        if not isinstance(values, list) or not values:
            raise ValueError(f'tpm_policy for PCR {name} without a list')
        digests = [
            value.lower() if isinstance(value, str) else '' for value in values
        ]
        if not all(map(_DIGEST.fullmatch, digests)):
            raise ValueError(
                f'tpm_policy for PCR {name} with what is no digest'
            )
        if int(name) not in _NOT_COMPARED:
            result[int(name)] = ','.join(digests)
    return tuple(f'{number}={result[number]}' for number in sorted(result))


def _number(status: Mapping[str, typing.Any], name: str) -> int:
    value = status[name]
    if type(value) is not int:
        raise ValueError(f'{name} {str(value)[:_SHOWN]!r}')
    return value


def _flag(status: Mapping[str, typing.Any], name: str) -> bool:
    value = status[name]
    if type(value) not in (int, bool) or value not in (0, 1):
        raise ValueError(f'{name} {str(value)[:_SHOWN]!r}')
    return bool(value)


def _moment(status: Mapping[str, typing.Any], name: str) -> float | None:
    """Seconds since the epoch; None for never, which is 0 or null there."""
    value = status[name]
    if value is None:
        return None
    # Up to the year 5138; no infinity, nothing that is not a number.
    if type(value) not in (int, float) or not 0 <= value < 1e11:
        raise ValueError(f'{name} {str(value)[:_SHOWN]!r}')
    return value or None


def _event(value: object) -> str:
    """Of a failure what it was; for messages only."""
    return value if isinstance(value, str) and _EVENT.fullmatch(value) else ''


def _host(value: object) -> str:
    """The ``host`` of an agent's meta data, a text of JSON; '' for none."""
    try:
        data = json.loads(value) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        return ''
    host = data.get('host') if isinstance(data, dict) else None
    return host if isinstance(host, str) else ''
