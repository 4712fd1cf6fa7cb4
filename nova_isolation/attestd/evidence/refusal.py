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

"""Why a key, or a statement, is not taken."""

import enum

from nova_isolation.model import errors


class Code(enum.Enum):
    """Why something is refused. The values are stable: hosts read them."""

    #: the request, the key or the statement is malformed
    MALFORMED = 'malformed'
    #: larger than the log takes
    TOO_LARGE = 'too-large'
    #: this client has too much under way
    BUSY = 'busy'
    #: no key has this id
    KEY_UNKNOWN = 'key-unknown'
    #: an administrator has revoked the key, or the host has a newer one
    KEY_REVOKED = 'key-revoked'
    #: the host has lost its good standing since the key was enrolled
    KEY_LOST = 'key-lost'
    #: the key is not of the one form that is taken
    KEY_FORM = 'key-form'
    #: the key is not bound to registers with approved values
    KEY_POLICY = 'key-policy'
    #: the registrar has no usable endorsement key of this agent
    REGISTRAR = 'registrar'
    #: the registrar has other keys of this agent than at its first enrollment
    PIN = 'pin'
    #: no such challenge, or the answer to it is wrong or late
    CHALLENGE = 'challenge'
    #: the host is not in good standing at present
    STANDING = 'standing'
    #: the signature does not hold
    SIGNATURE = 'signature'
    #: the statement is about another host than the one that has the key
    HOST = 'host'
    #: the statement is older than the log takes, or dated in the future
    LATE = 'late'


class Refused(errors.IsolationError):
    """A key or a statement is not taken.

    :ivar code: why
    """

    def __init__(self, code: Code, text: str) -> None:
        """:param code: why

        :param text: what was wanted, what was found, what one can do
        """
        super().__init__(text)
        self.code = code
