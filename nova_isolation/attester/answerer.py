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

"""Statements that somebody asks for, and waits for."""

from collections.abc import Callable
import json

from securesystemslib import signer as signers

from nova_isolation.attester import errors
from nova_isolation.attester import log_client
from nova_isolation.evidence import envelope
from nova_isolation.evidence import question
from nova_isolation.evidence import statement as statements


class Answerer:
    """Signs a statement, and has the log take it, while the asker waits.

    What is asked for does not pass the outbox: it must not wait behind others
    there, nor may the others wait for it.
    """

    def __init__(
        self,
        signer: Callable[[], signers.Signer],
        client: log_client.LogClient,
    ) -> None:
        """:param signer: returns what signs, or raises AttesterError
        :param client: for the log
        """
        self._signer = signer
        self._client = client

    def answer(self, statement: statements.Statement) -> question.Answer:
        """Sign a statement and send it.

        :returns: without a receipt where the log is away or refuses
        :raises nova_isolation.attester.errors.AttesterError: it cannot be
            signed
        :raises nova_isolation.evidence.errors.BadEvidence: it cannot be
            signed, because the key is another one
        """
        sealed = envelope.seal(statement, self._signer())
        receipt, code, detail = None, '', ''
        try:
            [found] = self._client.send([sealed])
        except errors.AttesterError as error:
            code, detail = question.AWAY, str(error)
        else:
            if isinstance(found, log_client.Refusal):
                code, detail = found.code or question.AWAY, found.detail
            else:
                receipt = found
        return question.Answer(
            {'envelope': json.loads(sealed), 'receipt': receipt}, code, detail
        )

    def stop(self) -> None:
        """Cancel what is under way."""
        self._client.close()
