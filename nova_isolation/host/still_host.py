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


"""A host as it was at one measurement."""

from collections.abc import Mapping
import typing

from nova_isolation.mechanisms import sources
from nova_isolation.model import evidence
from nova_isolation.model import reasons
from nova_isolation.model import sight
from nova_isolation.probes import program


class StillHost(sources.Host):
    """Asks a host, but for its emulator once only.

    The guests that are verified on a measurement are compared with the
    emulator that was measured. To ask for each of 500 guests whether the
    files of the emulator are still the same took half of the processor time
    of a verification.
    """

    def __init__(self, host: sources.Host) -> None:
        """:param host: answers all questions"""
        self._host = host
        self._emulator: program.Emulator | None = None

    def options(self, mechanism: str) -> typing.Any:
        """See the base class."""
        return self._host.options(mechanism)

    def read(self, path: str) -> str:
        """See the base class."""
        return self._host.read(path)

    def ask(self, path: str, question: str) -> str:
        """See the base class."""
        return self._host.ask(path, question)

    def capabilities(self) -> str:
        """See the base class."""
        return self._host.capabilities()

    def domain_capabilities(self) -> str:
        """See the base class."""
        return self._host.domain_capabilities()

    def emulator_arguments(self) -> tuple[str, ...]:
        """See the base class."""
        return self._host.emulator_arguments()

    def evidence(self, mechanism: str) -> evidence.Evidence | None:
        """See the base class."""
        return self._host.evidence(mechanism)

    def emulator(self) -> program.Emulator:
        """See the base class. A failure is not kept."""
        found = self._emulator
        if found is None:
            found = self._emulator = self._host.emulator()
        return found

    def unseen(self) -> Mapping[sight.Sight, reasons.Reason]:
        """See the base class."""
        return self._host.unseen()

    def xen(self) -> sources.Xen | None:
        """See the base class."""
        return self._host.xen()
