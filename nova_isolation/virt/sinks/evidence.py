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

"""The sink that states what was verified, in signed statements.

A statement is made for operators, and one for the owner of the server, who
reads neither the host nor what was read. What is in each is decided here; how
it is signed and sent, in :mod:`nova_isolation.attester`.
"""

from collections.abc import Hashable
import datetime
import hashlib
from importlib import metadata
import typing

from nova_isolation.attester import answerer
from nova_isolation.attester import key_folder
from nova_isolation.attester import log_client
from nova_isolation.attester import news
from nova_isolation.attester import outbox
from nova_isolation.evidence import question
from nova_isolation.evidence import statement as statements
from nova_isolation.model import printable
from nova_isolation.virt.guard import guest_request
from nova_isolation.virt.guard import outcome
from nova_isolation.virt.guard import sink

#: The outcomes of a verification after which the guest runs.
_RUNS = frozenset(
    {
        outcome.Result.ACCEPTED,
        outcome.Result.RECORDED,
        outcome.Result.RESTORED,
        outcome.Result.STILL_VIOLATED,
        outcome.Result.VIOLATED,
    }
)

_OCCASIONS = {
    outcome.Stage.VERIFY: statements.Occasion.START,
    outcome.Stage.REVERIFY: statements.Occasion.WATCH,
}


def make(conf: typing.Any) -> 'EvidenceSink':
    """Return the sink of this host.

    :param conf: Nova's configuration, with ``[isolation_evidence]``
    :raises nova_isolation.attester.errors.AttesterError: an option cannot be
        used
    """
    options = conf.isolation_evidence
    keys = key_folder.KeyFolder(options)
    known = news.News(options.heartbeat)
    return EvidenceSink(
        Writer(conf.host, keys.kind, conf.isolation),
        known,
        outbox.Outbox(
            # Read anew each time: the key may be made or replaced later.
            keys.signer,
            log_client.LogClient(options),
            options.max_waiting,
            known.forget,
        ),
        answerer.Answerer(keys.signer, log_client.LogClient(options)),
    )


class Writer:
    """Writes statements of this host."""

    def __init__(
        self,
        host: str,
        kind: statements.KeyKind,
        options: typing.Any,
    ) -> None:
        """:param host: the name of the compute service
        :param kind: where the key is
        :param options: the ``[isolation]`` group
        """
        self._host = host
        self._kind = kind
        self._options = options
        self._version = metadata.version('nova-isolation')

    def write(
        self,
        result: outcome.Outcome,
        audience: statements.Audience,
        occasion: statements.Occasion,
        nonce: str | None = None,
    ) -> statements.Statement:
        """State an outcome.

        :param result: the outcome, with a subject
        :param audience: for whom
        :param occasion: why the guest was verified
        :param nonce: what the asker wants to find in the statement
        :raises ValueError: the outcome has no subject
        """
        if result.subject is None:
            raise ValueError('the run of the guest is not known')
        full = audience is statements.Audience.OPERATOR
        return statements.Statement(
            subject=result.subject,
            audience=audience,
            occasion=occasion,
            requirements=_requirements(result.request),
            proofs=tuple(
                statements.Proof(one.key, one.found if full else None)
                for one in result.proofs
            ),
            unmet=tuple(
                statements.Unmet(one.key, one.code) for one in result.unmet
            ),
            host=self._stating(result) if full else None,
            mode=statements.Mode(self._options.mode),
            started=_time(result.started),
            finished=_time(result.finished),
            nonce=nonce,
            request_id=_request_id(result) if full else None,
            key=self._kind,
            version=self._version,
        )

    def _stating(self, result: outcome.Outcome) -> statements.Host:
        agent, age = None, None
        finished = result.finished.replace(tzinfo=datetime.timezone.utc)
        for one in result.evidence.values():
            if one.agent:
                agent = one.agent
                if one.good_at is not None:
                    # A verifier's clock may be ahead a little.
                    age = max(0, int(finished.timestamp() - one.good_at))
                break
        return statements.Host(
            self._host,
            hashlib.sha256(result.facts.encode()).hexdigest(),
            agent,
            age,
        )


class EvidenceSink(sink.Sink):
    """Has statements made of what is new, and of the same now and then."""

    name = 'statement'
    needs = sink.Needs.TIME
    needs_subject = True

    def __init__(
        self,
        writer: Writer,
        known: news.News,
        box: outbox.Outbox,
        answers: answerer.Answerer,
    ) -> None:
        """:param writer: writes the statements
        :param known: what was stated already
        :param box: takes the statements
        :param answers: takes the statements that somebody waits for
        """
        self._writer = writer
        self._news = known
        self._outbox = box
        self._answers = answers

    def stop(self) -> None:
        """End what is under way. Waits some seconds at most."""
        self._answers.stop()
        self._outbox.stop()

    def answer(
        self, result: outcome.Outcome, asked: question.Question
    ) -> question.Answer:
        """State what somebody has asked for. Waits for the key and the log.

        :param result: the outcome of the verification
        :param asked: the question
        :raises ValueError: the outcome has no subject
        :raises nova_isolation.model.errors.IsolationError: the statement
            cannot be signed
        """
        return self._answers.answer(
            self._writer.write(
                result, asked.audience, statements.Occasion.ASKED, asked.nonce
            )
        )

    def takes(self, result: outcome.Outcome) -> bool:
        """See the base class."""
        return (
            result.stage in _OCCASIONS
            and result.result in _RUNS
            and result.subject is not None
        )

    def report(self, result: outcome.Outcome) -> None:
        """See the base class. Waits for nothing."""
        if not self._news.is_news(result.uuid, _found(result)):
            return
        for audience in statements.Audience:
            self._outbox.put(
                self._writer.write(result, audience, _OCCASIONS[result.stage])
            )


def _found(result: outcome.Outcome) -> Hashable:
    """What need not be stated twice.

    What is read about a verifier has the age of the last quote, which is
    always another one.
    """
    aged = {
        item.key
        for item in result.request.wanted.items
        if item.mechanism in result.evidence
    }
    return (
        result.subject,
        tuple(sorted(_requirements(result.request).items())),
        tuple(
            (one.key, '' if one.key in aged else one.found)
            for one in result.proofs
        ),
        tuple((one.key, one.code) for one in result.unmet),
        result.facts,
    )


def _requirements(request: guest_request.GuestRequest) -> dict[str, str]:
    wanted = request.wanted
    # A flavor that cannot be enforced has problems; audit mode lets it pass.
    return wanted.extra_specs | {
        one.key: printable.one_line(one.found) for one in wanted.problems
    }


def _request_id(result: outcome.Outcome) -> str | None:
    # The watch has a context of its own, which is no request of anybody.
    if result.stage is outcome.Stage.REVERIFY:
        return None
    return getattr(result.request.context, 'request_id', None) or None


def _time(at: datetime.datetime) -> str:
    return at.strftime('%Y-%m-%dT%H:%M:%SZ')
