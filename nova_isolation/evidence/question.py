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

"""A question for a statement, and the answer of the host.

Who asks names a nonce, which the host puts into the statement. Nova has no
place for it: so the question travels as the id of the request that caused this
one (oslo.context calls it the global request id), which each release of Nova
passes to the compute service and only writes into its log. The answer is one
more key of the server's diagnostics.
"""

import base64
import dataclasses
import typing

from nova_isolation.evidence import errors
from nova_isolation.evidence import statement as statements
from nova_isolation.evidence import statement_form
from nova_isolation.model import errors as model_errors
from nova_isolation.model import printable

#: The key in the diagnostics of a server.
KEY = 'isolation_evidence'

#: The code of an answer where the log cannot be asked now, so that nobody has
#: countersigned. Others are the codes with which the log refuses.
AWAY = 'away'

_PREFIX = 'isolation-evidence'

#: The most letters of a code, and of what is said about it.
_CODE, _DETAIL = 40, 1000

Json = dict[str, typing.Any]


@dataclasses.dataclass(frozen=True)
class Question:
    """A question for a statement.

    :ivar audience: for whom
    :ivar nonce: what the asker wants to find in the statement
    """

    audience: statements.Audience
    nonce: str

    def dumps(self) -> str:
        """Return the question as a text."""
        return f'{_PREFIX}:{self.audience.value}:{self.nonce}'


def loads(text: object) -> Question | None:
    """Read a question.

    :param text: as :meth:`Question.dumps` returns it
    :returns: None: it is no question
    """
    parts = text.split(':') if isinstance(text, str) else []
    if len(parts) != 3 or parts[0] != _PREFIX:
        return None
    for audience in statements.Audience:
        if audience.value == parts[1] and statements.NONCE.fullmatch(parts[2]):
            return Question(audience, parts[2])
    return None


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a host answers.

    :ivar bundle: the envelope, and the receipt of the log or None
    :ivar code: why there is no receipt: :data:`AWAY`, or that of the log;
        '' where there is one
    :ivar detail: the same in words, for admins
    """

    bundle: Json
    code: str = ''
    detail: str = ''

    def dump(self) -> Json:
        """Return the answer as JSON values."""
        return dataclasses.asdict(self)


class NotStatedError(model_errors.IsolationError):
    """The host has made no statement. The message says why, for admins."""


def failed(why: object) -> Json:
    """Return the answer of a host that cannot make a statement.

    :param why: for admins
    """
    return {'failed': printable.one_line(why, _DETAIL)}


def load(answer: object, uuid: str, asked: Question) -> Answer:
    """Read the answer of a host. No signature is verified.

    :param answer: what :meth:`Answer.dump` returned, as it was received
    :param uuid: the UUID of the server that was asked about
    :param asked: the question
    :raises NotStatedError: the host could not make the statement
    :raises nova_isolation.evidence.errors.BadEvidence: the answer is
        malformed, or answers another question
    """
    if isinstance(answer, dict) and set(answer) == {'failed'}:
        raise NotStatedError(printable.one_line(answer['failed'], _DETAIL))
    if (
        not isinstance(answer, dict)
        or set(answer) != {'bundle', 'code', 'detail'}
        or not isinstance(answer['code'], str)
        or not isinstance(answer['detail'], str)
    ):
        raise _bad('a bundle, a code and a detail')
    found = Answer(
        answer['bundle'], answer['code'][:_CODE], answer['detail'][:_DETAIL]
    )
    stated = check(found.bundle, uuid, asked.audience)
    if stated.nonce != asked.nonce:
        raise _bad('a statement with the nonce of the question')
    if bool(found.code) != (found.bundle['receipt'] is None):
        raise _bad('either a receipt or a code')
    return found


def check(
    bundle: object, uuid: str, audience: statements.Audience
) -> statements.Statement:
    """Refuse a bundle that somebody must not read who asks about a server.

    No signature is verified: the reader does that, who knows whom to believe.

    :param bundle: JSON values
    :param uuid: the UUID of the server
    :param audience: for whom the statement must be
    :returns: the statement
    :raises nova_isolation.evidence.errors.BadEvidence: it is no bundle, or
        one about another server or for somebody else
    """
    if not isinstance(bundle, dict) or set(bundle) != {'envelope', 'receipt'}:
        raise _bad('a bundle of an envelope and a receipt')
    sealed = bundle['envelope']
    payload = sealed.get('payload') if isinstance(sealed, dict) else None
    if (
        not isinstance(payload, str)
        or len(payload) > 2 * statement_form.MAX_BYTES
    ):
        raise _bad('an envelope')
    try:
        data = base64.b64decode(payload, validate=True)
    except ValueError:
        raise _bad('base64') from None
    stated = statement_form.loads(data)
    if (stated.subject.uuid, stated.audience) != (uuid, audience):
        raise _bad(
            f'a statement about {uuid} for the audience {audience.value}'
        )
    return stated


def _bad(wanted: str) -> errors.BadEvidence:
    return errors.BadEvidence(
        errors.Code.ENVELOPE, f'wanted {wanted}, found something else'
    )
