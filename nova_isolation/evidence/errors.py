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

"""What is wrong with evidence that somebody hands over."""

import enum

from nova_isolation.model import errors


class Code(enum.Enum):
    """Why evidence is not accepted. The values are stable: programs read
    them.
    """

    #: larger than is read
    SIZE = 'evidence.size'
    #: no JSON, or JSON that two readers may understand differently
    JSON = 'evidence.json'
    #: a member of the envelope is missing, unknown or of the wrong form
    ENVELOPE = 'evidence.envelope'
    #: the envelope says that it holds something else
    PAYLOAD_TYPE = 'evidence.payload_type'
    #: no key that is trusted has the id that the signature names
    UNKNOWN_KEY = 'evidence.unknown_key'
    #: the signature is not that of the named key over this content
    SIGNATURE = 'evidence.signature'
    #: no statement of this project, or one of another version
    STATEMENT_TYPE = 'evidence.statement_type'
    #: a member of the statement is missing, unknown or of the wrong form
    STATEMENT = 'evidence.statement'
    #: the key cannot be used: not ECDSA on the curve P-256, or malformed
    KEY = 'evidence.key'
    #: the receipt is malformed, or not one of this statement and of this log
    RECEIPT = 'evidence.receipt'
    #: no log that is trusted has taken the statement, and the key that signed
    #: is not trusted by itself
    NOT_LOGGED = 'evidence.not_logged'
    #: the statement answers another request
    NONCE = 'evidence.nonce'
    #: the key is in a file, and only keys in a TPM are trusted
    KEY_KIND = 'evidence.key_kind'
    #: a newer head of the log does not contain an older one
    FORK = 'evidence.fork'
    #: the trust file is malformed
    TRUST = 'evidence.trust'


class BadEvidence(errors.IsolationError):
    """Evidence is malformed, or nobody who is trusted has signed it.

    :ivar code: why
    """

    def __init__(self, code: Code, text: str) -> None:
        """:param code: why
        :param text: what was wanted and what was found
        """
        super().__init__(f'{text} [{code.value}]')
        self.code = code
