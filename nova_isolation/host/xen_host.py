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

"""The hypervisor of a Xen host, from dom0."""

import typing

from nova_isolation.host import privileged
from nova_isolation.host import xen_processes
from nova_isolation.mechanisms import sources
from nova_isolation.model import printable
from nova_isolation.probes.xen import answers
from nova_isolation.probes.xen import process
from nova_isolation.probes.xen import wire

#: The longest [isolation] probe_timeout, in seconds.
_LONGEST = 300.0


class XenHost(sources.Xen):
    """Answers of the real hypervisor; see the base class for each method.

    Nothing is kept: each answer is read when it is asked for.
    """

    def __init__(self, options: typing.Any) -> None:
        """:param options: the ``[isolation]`` group"""
        self._options = options

    def ask(self, question: answers.Question) -> answers.Answer:
        """See the base class.

        Only root may ask the hypervisor. Where nova-compute is another user,
        the privileged helper asks.
        """
        text = wire.dumps(question)
        seconds = float(self._options.probe_timeout)
        try:
            try:
                return process.read(question, process.run(text, seconds))
            except PermissionError:
                found = privileged.call(_ask_as_root, text, seconds)
                return process.read(question, found)
        except ValueError as error:
            # A guest may have chosen a part of the words.
            raise ValueError(f'Xen: {printable.one_line(error)}') from error

    def processes(self) -> tuple[answers.Process, ...]:
        """See the base class."""
        return xen_processes.find(self._options.process_root)

    def model(self, uuid: str) -> int | None:
        """Return the process id of the device model of a domain.

        :param uuid: the UUID of the domain
        :returns: None where it has none: no process of dom0 works for it, and
            the toolstack has noted none
        :raises OSError: it has one that cannot be found
        :raises ValueError: it has several, or there is no such domain
        """
        answer = self.ask(answers.Question(uuid=uuid))
        domain = answer.domain(uuid)
        if domain is None:
            raise ValueError(f'Xen has no domain with the UUID {uuid}')
        found = [
            one.pid for one in self.processes() if one.domain == domain.id
        ]
        if len(found) > 1:
            raise ValueError(f'domain {domain.id} has {len(found)} models')
        if not found and answer.has_model:
            raise OSError(
                f'domain {domain.id} has a device model, which is no process '
                f'that this host sees'
            )
        return found[0] if found else None


@privileged.context.entrypoint
def _ask_as_root(question: str, seconds: float) -> str:
    # The helper does not trust its caller: the program is this project's own,
    # it takes nothing but a question, and it changes nothing.
    parsed = wire.loads(answers.Question, question)
    if not isinstance(seconds, float) or not 0 < seconds <= _LONGEST:
        raise ValueError(f'{seconds!r} seconds')
    return process.run(wire.dumps(parsed), seconds)
