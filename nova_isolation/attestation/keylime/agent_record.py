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

"""The attestation result of one agent, read from Keylime's status of it.

``cloud_verifier_common.process_get_status`` makes the status (Keylime
7.14.3), and ``GET /v2.6/agents/?bulk=true`` returns the status of each agent.
"""

from collections.abc import Mapping
import contextlib
import functools
import json
import re
import typing

from nova_isolation.mechanisms.attested import attestation_result

#: What the numbers of ``keylime.common.states`` mean.
_WORDS = {
    0: 'registered',
    1: 'started',
    2: 'saved',
    3: 'quoting',
    4: 'the agent did not answer the last request for a quote',
    5: 'key share delivered',
    6: 'key share not delivered yet',
    7: 'failed',
    8: 'terminated',
    9: 'invalid quote',
    10: 'termination failed',
}
_GOOD = frozenset({3, 5})
_FAILED = frozenset({7, 9, 10})
_INVALID_QUOTE = 9

_FAIL = 'FAIL'
#: What the other values of ``attestation_status`` mean.
_STATUSES = {
    'PASS': 'PASS',  # nosec B105
    'PENDING': 'PENDING',
    'TIMEOUT': 'TIMEOUT: the agent has sent no quote in time',
}

#: PCRs whose values the verifier does not compare with the policy: the PCR of
#: IMA's list and the PCR of the key's hash (``Tpm.check_pcrs``).
_NOT_COMPARED = frozenset({10, 16})
_LAST_PCR = 23
#: The hexadecimal digits of SHA-1, SHA-256, SHA-384 and SHA-512.
_DIGEST = re.compile(r'[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128}')
_PCR = re.compile(r'0|[1-9][0-9]?')
_EVENT = re.compile(r'[\w.-]{1,60}', re.ASCII)

#: The fields of a status that are read.
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
#: The fields by which a status is recognised. An agent may have the name of
#: one field, but hardly two agents those of both.
_MARKS = frozenset({'operational_state', 'attestation_status'})

#: Characters of a policy whose document is kept; one with all PCRs and a few
#: values for each has about 10,000.
_KEPT_POLICY = 2**14

#: Characters of an unexpected value that a message shows.
_SHOWN = 80


class Record(typing.NamedTuple):
    """What is kept of one agent's status.

    :ivar document: an attestation result, as text
    :ivar good_at: when its last good quote was verified, seconds since the
        epoch by the verifier's clock; None: never
    :ivar reported_at: the time of the verifier's answer, likewise
    :ivar host: the host that the agent's meta data name; '' for none
    """

    document: str
    good_at: float | None
    reported_at: float
    host: str


def _unique(pairs: list[tuple[str, typing.Any]]) -> dict[str, typing.Any]:
    """Return an object; raise ValueError if it has a name twice."""
    whole = dict(pairs)
    if len(whole) != len(pairs):
        raise ValueError('the JSON object has a name twice')
    return whole


_POLICY = json.JSONDecoder(object_pairs_hook=_unique)


def reduce(pairs: list[tuple[str, typing.Any]]) -> dict[str, typing.Any]:
    """Reduce a status to the fields that are read; keep any other object.

    For ``object_pairs_hook`` of :func:`json.loads`: the key share is dropped
    while the answer is parsed, and ten thousand agents need little memory.

    :raises ValueError: the object has a name twice
    """
    whole = _unique(pairs)
    if not whole.keys() >= _MARKS:
        # ``v`` is a share of an agent's key, or an agent of that name.
        if not isinstance(whole.get('v'), dict):
            whole.pop('v', None)
        return whole
    return {name: whole[name] for name in FIELDS if name in whole}


def read(status: object, at: float) -> Record:
    """Read a status. A status that is not understood is not trusted.

    :param status: as reduced by :func:`reduce`
    :param at: the time of the verifier's answer, seconds since the epoch by
        the verifier's clock
    """
    if not isinstance(status, Mapping):
        return _unclear('it is not an object', at)
    try:
        state = _state(status)
        quoted_at = _moment(status, 'last_received_quote')
        good_at = _moment(status, 'last_successful_attestation')
        count = _number(status, 'attestation_count')
        word = status['attestation_status']
        policy = status['tpm_policy']
        failure = _failure(status)
        if state in _FAILED and not failure:
            failure = _with_event(_state_words(state), status)
        if not (isinstance(word, str) and isinstance(policy, str)):
            raise ValueError(
                f'attestation_status {word!r}, tpm_policy {policy!r}'
            )
        document = _document(
            state,
            word,
            failure,
            bool(count > 0 and good_at),
            policy,
            _flag(status, 'has_mb_refstate'),
            _flag(status, 'has_runtime_policy'),
        )
        host = _host(status.get('meta_data'))
    except KeyError as error:
        return _unclear(f'it has no {error.args[0]}', at, status)
    except ValueError as error:
        return _unclear(str(error), at, status)
    if state == _INVALID_QUOTE and quoted_at:
        # The verifier does not ask the agent again until somebody
        # reactivates it.
        at = quoted_at
    return Record(document, good_at, at, host)


def is_status(status: object) -> bool:
    """Return whether this is the status of an agent, as Keylime 7.14 has it.

    Older verifiers do not state ``attestation_status``.
    """
    return isinstance(status, Mapping) and status.keys() >= _MARKS


def _failure(status: Mapping[str, typing.Any]) -> str:
    """Return the failure that ``attestation_status`` states; '' for none.

    A failure counts even if the rest of the status is not understood.
    """
    if status.get('attestation_status') != _FAIL:
        return ''
    state = status.get('operational_state')
    if type(state) is not int:
        state = None
    words = _state_words(state)
    if state not in _FAILED:
        words = f'{_FAIL}, {words}'
    return _with_event(words, status)


def _with_event(words: str, status: Mapping[str, typing.Any]) -> str:
    event = _event(status.get('last_event_id'))
    return f'{words}, {event}' if event else words


def _state_words(state: int | None) -> str:
    if state is None:
        return 'no operational state'
    return f'{_WORDS.get(state, "unknown")} (state {state})'


def _document(
    state: int | None,
    word: str,
    failure: str,
    is_quoted: bool,
    policy: str,
    boot: bool,
    runtime: bool,
) -> str:
    """Return the attestation result, as text.

    :raises ValueError: the policy is malformed
    """
    # A long text is not kept for those that come later.
    make = _kept if len(policy) <= _KEPT_POLICY else _kept.__wrapped__
    return make(state, word, failure, is_quoted, policy, boot, runtime)


# Alike hosts have equal documents, and a document rarely changes. Ten
# thousand different documents take about 10 MB.
@functools.lru_cache(2**14)
def _kept(
    state: int | None,
    word: str,
    failure: str,
    is_quoted: bool,
    policy: str,
    boot: bool,
    runtime: bool,
) -> str:
    pcrs = _pcrs(policy)
    if failure:
        outcome, found = attestation_result.FAILED, failure
    elif state not in _GOOD or word != 'PASS':
        words = _STATUSES.get(word, f'{word[:_SHOWN]!r}, which is unknown')
        outcome = attestation_result.PENDING
        found = f'{_state_words(state)}, {words}'
    elif not is_quoted:
        outcome = attestation_result.PENDING
        found = f'{_state_words(state)}, never a good quote'
    else:
        outcome, found = attestation_result.GOOD, ''
    return attestation_result.dumps(
        attestation_result.AttestationResult(
            outcome, found, pcrs, boot, runtime
        )
    )


def _unclear(
    why: str, at: float, status: Mapping[str, typing.Any] | None = None
) -> Record:
    """Return a record of a status that is not understood."""
    outcome, good_at = attestation_result.PENDING, None
    found = f"the verifier's status is not understood: {why[: 2 * _SHOWN]}"
    if status is not None and (failure := _failure(status)):
        outcome, found = attestation_result.FAILED, f'{failure}; {found}'
        with contextlib.suppress(KeyError, ValueError):
            # Without it an older quote would seem newer than the failure.
            good_at = _moment(status, 'last_successful_attestation')
    return Record(
        attestation_result.dumps(
            attestation_result.AttestationResult(outcome, found)
        ),
        good_at,
        at,
        '',
    )


def _pcrs(policy: str) -> tuple[str, ...]:
    """Return the PCRs of a policy and their values: ``17=HEX,HEX``.

    ``tpm_util.readPolicy`` makes the policy; its key ``mask`` is not a PCR.

    :returns: sorted by number
    :raises ValueError: the policy is malformed
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
                f'tpm_policy for PCR {name} with a value that is not a digest'
            )
        if int(name) not in _NOT_COMPARED:
            result[int(name)] = ','.join(digests)
    return tuple(f'{number}={result[number]}' for number in sorted(result))


def _state(status: Mapping[str, typing.Any]) -> int | None:
    """Return the operational state.

    None for an agent in push mode, which has none before its first good quote
    (``TPMEngine._process_results``).
    """
    if status['operational_state'] is None and (
        status['attestation_status'] != 'PASS'
    ):
        return None
    return _number(status, 'operational_state')


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
    """Return seconds since the epoch; None for never (0 or null)."""
    value = status[name]
    if value is None:
        return None
    # Up to the year 5138; neither infinity nor NaN.
    if type(value) not in (int, float) or not 0 <= value < 1e11:
        raise ValueError(f'{name} {str(value)[:_SHOWN]!r}')
    return value or None


def _event(value: object) -> str:
    """Return the identifier of a failure; for messages only."""
    return value if isinstance(value, str) and _EVENT.fullmatch(value) else ''


def _host(value: object) -> str:
    """Return ``host`` of an agent's meta data (JSON); '' for none."""
    try:
        data = json.loads(value) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        return ''
    host = data.get('host') if isinstance(data, dict) else None
    return host if isinstance(host, str) else ''
