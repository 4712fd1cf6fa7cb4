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

"""The one form of a statement in bytes.

A statement is an in-toto Statement of version 1 with a predicate of our own,
:data:`PREDICATE_TYPE`. ``statement.schema.json`` beside this module is its
JSON schema, and the reference of the documentation explains each member.
:func:`dumps` writes the one form, and :func:`loads` reads no other one, so
equal content has an equal digest.
"""

import dataclasses
import enum
from importlib import resources
import json
import re
import typing

from nova_isolation.evidence import errors
from nova_isolation.evidence import statement as statements
from nova_isolation.evidence import strict_json
from nova_isolation.model import printable

STATEMENT_TYPE = 'https://in-toto.io/Statement/v1'

#: The type of the predicate, with its version. A release that changes the
#: meaning or the set of the members counts the version up. A UUID (RFC 9562)
#: is a name that nobody has to register, and that nobody else can come to own.
PREDICATE_TYPE = (
    'urn:uuid:31ec205b-a367-45d2-9f17-c166d88aae7a'
    '#nova-isolation/confinement/v1'
)

#: The largest size of a statement, in bytes.
MAX_BYTES = 32 * 1024

#: The most requirements, proofs and unmet requirements. The vocabulary is much
#: smaller.
MAX_ITEMS = 256

_UUID = re.compile('[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')
_SHA256 = re.compile('[0-9a-f]{64}')
_BOOT = re.compile('[0-9a-f]{32}')
_TIME = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ', re.ASCII)
_CODE = re.compile(r'isolation(\.[a-z][a-z0-9_]*){2}')
_LINE = re.compile(f'.{{1,{printable.MAX_LENGTH}}}')


def schema() -> dict[str, typing.Any]:
    """Return the JSON schema of a statement."""
    text = resources.files(__package__).joinpath('statement.schema.json')
    found: dict[str, typing.Any] = json.loads(text.read_text('utf-8'))
    return found


def dumps(statement: statements.Statement) -> bytes:
    """Return a statement as bytes, in its one form.

    :raises nova_isolation.evidence.errors.BadEvidence: no reader would accept
        the statement
    """
    predicate = {
        'audience': statement.audience.value,
        'finished': statement.finished,
        'host': (
            None
            if statement.host is None
            else {
                'agent': statement.host.agent,
                'facts': {'sha256': statement.host.facts},
                'name': statement.host.name,
                'quoteAge': statement.host.quote_age,
            }
        ),
        'key': statement.key.value,
        'mode': statement.mode.value,
        'nonce': statement.nonce,
        'occasion': statement.occasion.value,
        'proofs': [dataclasses.asdict(one) for one in statement.proofs],
        'requestId': statement.request_id,
        'requirements': dict(statement.requirements),
        'started': statement.started,
        'unmet': [dataclasses.asdict(one) for one in statement.unmet],
        'verified': statement.verified,
        'version': statement.version,
    }
    data = strict_json.dumps(
        {
            '_type': STATEMENT_TYPE,
            'predicate': predicate,
            'predicateType': PREDICATE_TYPE,
            'subject': [
                {
                    'annotations': {'boot': statement.subject.boot},
                    'digest': {'sha256': statement.subject.domain},
                    'name': statement.subject.uuid,
                }
            ],
        }
    )
    loads(data)
    return data


def loads(data: bytes) -> statements.Statement:
    """Read a statement.

    :param data: as :func:`dumps` returns it
    :raises nova_isolation.evidence.errors.BadEvidence: the bytes are not a
        statement of this version, or not in its one form
    """
    value = strict_json.loads(data, MAX_BYTES)
    if not isinstance(value, dict) or (
        value.get('_type'),
        value.get('predicateType'),
    ) != (STATEMENT_TYPE, PREDICATE_TYPE):
        raise errors.BadEvidence(
            errors.Code.STATEMENT_TYPE,
            f'wanted an in-toto statement of {PREDICATE_TYPE}, found another '
            'document or another version',
        )
    top = _Members('statement', value, '_type predicate predicateType subject')
    [subject] = top.items('subject', 1, 1)
    found = _statement(
        _subject(subject),
        _Members(
            'predicate',
            top.value['predicate'],
            'audience finished host key mode nonce occasion proofs requestId '
            'requirements started unmet verified version',
        ),
    )
    if top.value['predicate']['verified'] is not found.verified:
        raise _bad('predicate.verified', 'what the proofs and unmet say')
    if strict_json.dumps(value) != data:
        raise _bad('statement', 'its one form: sorted, no spaces, ASCII')
    return found


def _subject(value: object) -> statements.Subject:
    subject = _Members('subject', value, 'annotations digest name')
    return statements.Subject(
        subject.text('name', _UUID),
        _Members(
            'subject.annotations', subject.value['annotations'], 'boot'
        ).text('boot', _BOOT),
        _digest('subject.digest', subject.value['digest']),
    )


def _statement(
    subject: statements.Subject, given: '_Members'
) -> statements.Statement:
    found = statements.Statement(
        subject=subject,
        audience=given.word('audience', statements.Audience),
        occasion=given.word('occasion', statements.Occasion),
        requirements=_requirements(given.value['requirements']),
        proofs=tuple(
            statements.Proof(
                one.text('requirement', _LINE), one.maybe('read', _LINE)
            )
            for one in given.objects('proofs', 'read requirement')
        ),
        unmet=tuple(
            statements.Unmet(
                one.text('requirement', _LINE), one.text('code', _CODE)
            )
            for one in given.objects('unmet', 'code requirement')
        ),
        host=_host(given.value['host']),
        mode=given.word('mode', statements.Mode),
        started=given.text('started', _TIME),
        finished=given.text('finished', _TIME),
        nonce=given.maybe('nonce', statements.NONCE),
        request_id=given.maybe('requestId', _LINE),
        key=given.word('key', statements.KeyKind),
        version=given.text('version', _LINE),
    )
    full = found.audience is statements.Audience.OPERATOR
    if full != (found.host is not None) or any(
        full != (one.read is not None) for one in found.proofs
    ):
        raise _bad(
            'predicate.audience',
            'the host and what was read for an operator, neither for an owner',
        )
    return found


def _requirements(value: object) -> dict[str, str]:
    if (
        not isinstance(value, dict)
        or len(value) > MAX_ITEMS
        or not all(
            _is_text(text, _LINE) for pair in value.items() for text in pair
        )
    ):
        raise _bad('predicate.requirements', 'extra specs with their values')
    return value


def _host(value: object) -> statements.Host | None:
    if value is None:
        return None
    given = _Members('predicate.host', value, 'agent facts name quoteAge')
    age = given.value['quoteAge']
    if age is not None and (type(age) is not int or not 0 <= age < 2**31):
        raise _bad('predicate.host.quoteAge', 'whole seconds, or null')
    return statements.Host(
        given.text('name', _LINE),
        _digest('predicate.host.facts', given.value['facts']),
        given.maybe('agent', _LINE),
        age,
    )


def _digest(where: str, value: object) -> str:
    return _Members(where, value, 'sha256').text('sha256', _SHA256)


def _is_text(value: object, pattern: re.Pattern[str]) -> bool:
    return (
        isinstance(value, str)
        and value.isprintable()
        and pattern.fullmatch(value) is not None
    )


def _bad(where: str, wanted: str) -> errors.BadEvidence:
    return errors.BadEvidence(
        errors.Code.STATEMENT, f'{where}: wanted {wanted}'
    )


W = typing.TypeVar('W', bound=enum.Enum)


class _Members:
    """The members of an object that has these and no others."""

    def __init__(self, where: str, value: object, names: str) -> None:
        if not isinstance(value, dict) or set(value) != set(names.split()):
            raise _bad(where, f'an object of exactly these members: {names}')
        self.value = value
        self._where = where

    def text(self, name: str, pattern: re.Pattern[str]) -> str:
        """A text of a form."""
        value: str = self.value[name]
        if not _is_text(value, pattern):
            raise _bad(f'{self._where}.{name}', f'a text {pattern.pattern}')
        return value

    def maybe(self, name: str, pattern: re.Pattern[str]) -> str | None:
        """A text of a form, or null."""
        if self.value[name] is None:
            return None
        return self.text(name, pattern)

    def word(self, name: str, words: type[W]) -> W:
        """One of some words."""
        for one in words:
            if one.value == self.value[name]:
                return one
        raise _bad(
            f'{self._where}.{name}',
            'one of ' + ', '.join(one.value for one in words),
        )

    def items(self, name: str, least: int, most: int) -> list[object]:
        """A list of so many items."""
        value = self.value[name]
        if not isinstance(value, list) or not least <= len(value) <= most:
            raise _bad(
                f'{self._where}.{name}', f'a list of {least} to {most} items'
            )
        return value

    def objects(self, name: str, members: str) -> list['_Members']:
        """A list of objects, each of exactly these members."""
        return [
            _Members(f'{self._where}.{name}', one, members)
            for one in self.items(name, 0, MAX_ITEMS)
        ]
