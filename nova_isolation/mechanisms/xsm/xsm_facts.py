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

"""The facts about XSM, and how a Xen host measures them."""

from collections.abc import Iterable
import dataclasses
import hashlib
import itertools
import logging
import typing

from nova_isolation.mechanisms import sources
from nova_isolation.mechanisms.xsm import dom0_processes
from nova_isolation.mechanisms.xsm import flask_label
from nova_isolation.model import facts
from nova_isolation.model import printable
from nova_isolation.model import reasons
from nova_isolation.probes.xen import answers

LOG = logging.getLogger(__name__)

#: Another hypervisor than Xen runs the guests.
NO_XEN = 'none'

#: What serves a guest where no driver domain does.
DOM0 = 'dom0'

#: How many characters of the command line are published as they are.
_TOLD = 100


@dataclasses.dataclass(frozen=True)
class XsmFacts:
    """The facts about XSM.

    The policy that is loaded cannot be read back. ``build_id`` and ``seqno``
    stand for it: with 1 it is the policy of the boot, and that is the one
    that is compiled in, unless the boot loader gave the hypervisor another.

    :ivar flask: none (no Xen), absent, permissive or enforcing
    :ivar labels: the labels that the host offers, as flavors name them
    :ivar isolated: those of them, and Xen's default label, whose guests reach
        neither one another nor guests of the other labels
    :ivar dom0: what is wrong with the confinement of dom0's tools; None: it
        is unknown, and so is which processes dom0 has
    :ivar seqno: the number of the policy, counted from the boot
    :ivar build_id: the linker's digest of the hypervisor
    :ivar command_line: the hypervisor's command line; where it is long, its
        beginning and a digest
    """

    flask: str
    labels: tuple[str, ...]
    isolated: tuple[str, ...]
    dom0: tuple[str, ...] | None
    seqno: int
    build_id: str
    command_line: str

    def __post_init__(self) -> None:
        on = self.flask in (answers.PERMISSIVE, answers.ENFORCING)
        if not on and self.flask not in (NO_XEN, answers.ABSENT):
            raise facts.FactsError(
                reasons.FACTS_MALFORMED, f'XSM is {self.flask!a}'
            )
        if on and (self.seqno < 1 or not self.build_id):
            raise facts.FactsError(
                reasons.FACTS_MALFORMED, 'XSM without a policy'
            )


def measure(host: sources.Host, options: typing.Any) -> XsmFacts:
    """Measure the hypervisor, its policy and the tools of dom0.

    :param host: the host
    :param options: the options of the mechanism
    :raises OSError, ValueError: the hypervisor cannot be asked
    """
    xen = host.xen()
    if xen is None:
        return XsmFacts(NO_XEN, (), (), (), 0, '', '')
    allowed = sorted(
        {flask_label.full(text) for text in options.labels}
        | {flask_label.full(flask_label.DEFAULT)}
    )
    answer = xen.ask(
        answers.Question(
            tuple(allowed), tuple(itertools.product(allowed, allowed))
        )
    )
    accesses = {(one.source, one.target): one for one in answer.accesses}
    labels = {
        one.asked
        for one in answer.labels
        if one.asked == one.canonical and one.creatable
    }
    guests = [one for one in allowed if one in labels]
    found = answer.hypervisor
    return XsmFacts(
        found.flask,
        _named(
            one
            for one in guests
            if not flask_label.is_forbidden(one)
            and one in map(flask_label.full, options.labels)
        ),
        _named(
            one
            for one in guests
            if not any(
                accesses[pair].reaches
                for other in guests
                for pair in ((one, other), (other, one))
            )
        ),
        _dom0(host, options),
        found.seqno,
        found.build_id,
        told(found.command_line),
    )


def told(command_line: str) -> str:
    """Return what is published of the hypervisor's command line."""
    text = printable.one_line(command_line)
    if len(text) <= _TOLD:
        return text
    digest = hashlib.sha256(command_line.encode()).hexdigest()[:16]
    return f'{text[:_TOLD]}... {digest}'


def _named(labels: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(map(flask_label.short, labels)))


def _dom0(host: sources.Host, options: typing.Any) -> tuple[str, ...] | None:
    """Return what is wrong in dom0; None where that cannot be seen."""
    try:
        # Three are enough to say that it is not confined.
        return dom0_processes.wrong(host, options)[:3]
    except (OSError, ValueError) as error:
        LOG.warning(
            'Mechanism xsm cannot examine the processes of dom0; flavors with '
            'isolation:xsm_dom0, isolation:xsm_device_model or '
            'isolation:xsm_backend=dom0 are refused on this host: %s',
            printable.one_line(error),
        )
        return None
