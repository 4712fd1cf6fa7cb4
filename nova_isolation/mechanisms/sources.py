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

"""What a mechanism reads: the host, its hypervisor, guests and processes.

The tests have fakes of all of them (:mod:`nova_isolation.testing.fakes`).
"""

from collections.abc import Mapping
from collections.abc import Sequence
import typing

from nova_isolation.model import evidence as evidences
from nova_isolation.model import reasons
from nova_isolation.model import sight
from nova_isolation.probes import program
from nova_isolation.probes.xen import answers


class Xen(typing.Protocol):
    """The hypervisor of a Xen host, asked from dom0.

    Every method may raise OSError or ValueError. What is asked is then
    unknown.
    """

    def ask(self, question: answers.Question) -> answers.Answer:
        """Ask the hypervisor, and xenstore for the devices of a domain.

        :raises OSError: the hypervisor, or its library, is none that this
            release knows, or it does not answer in time
        :raises ValueError: the answer makes no sense
        """

    def processes(self) -> tuple[answers.Process, ...]:
        """Return the processes of dom0 that belong to Xen's tools, and ours.

        These are xenstore, the consoles, libvirt, all device models,
        nova-compute and the helpers that it has as root.
        """


class Host(typing.Protocol):
    """The compute host, as a mechanism reads it.

    Every method may raise OSError or ValueError. The facts of the mechanism
    are then unknown. A program that is run for an answer must answer within
    ``[isolation] probe_timeout`` seconds, and all answers to a mechanism must
    come within ``[isolation] measure_timeout`` seconds.
    """

    def options(self, mechanism: str) -> typing.Any:
        """Return the option group of a mechanism.

        See :meth:`nova_isolation.mechanisms.base.Mechanism.options`.

        :param mechanism: the name of the mechanism
        """

    def read(self, path: str) -> str:
        """Return the text of a file, e.g. ``/sys/fs/selinux/enforce``.

        :raises FileNotFoundError: the file does not exist
        :raises OSError: the file cannot be read
        """

    def ask(self, path: str, question: str) -> str:
        """Write a question to a file and return the answer from this file.

        The kernel has such files in selinuxfs.

        :raises OSError: the file does not exist, or the kernel refuses the
            question
        """

    def capabilities(self) -> str:
        """Return libvirt's capabilities, XML."""

    def domain_capabilities(self) -> str:
        """Return libvirt's capabilities of the domains of Nova, XML."""

    def emulator_arguments(self) -> tuple[str, ...]:
        """Return the command line with which libvirt starts a plain guest.

        The libvirt that runs is asked, so its settings count as it has read
        them.
        """

    def evidence(self, mechanism: str) -> evidences.Evidence | None:
        """Return what a third party reports about the host now.

        :param mechanism: the name of the mechanism that reads the evidence
        :returns: the evidence; None where no third party is configured
        """

    def emulator(self) -> program.Emulator:
        """Examine the QEMU binary that libvirt, or libxl on Xen, starts.

        A guest is verified on a measurement of the host, and compared with
        the binary as it was then.

        :raises OSError: the binary cannot be read or run
        :raises ValueError: the file is not an emulator
        """

    def unseen(self) -> Mapping[sight.Sight, reasons.Reason]:
        """Return what this host cannot see of its guests' processes now.

        :returns: what it cannot see -> why not; empty where it could verify
            a guest
        """

    def xen(self) -> Xen | None:
        """Return the hypervisor where Xen runs the guests of Nova.

        :returns: None on a host whose guests another hypervisor runs
        """


class Process(typing.Protocol):
    """The process on the host that runs a guest.

    Every method may raise OSError or ValueError. The guest is then refused.
    """

    def label(self) -> str:
        """Return the label in /proc/PID/attr/current, without trailing NUL."""

    def arguments(self) -> Sequence[str]:
        """Return the command line (/proc/PID/cmdline)."""

    def seccomp(self) -> int:
        """Return the seccomp mode: 0 none, 1 strict, 2 filter (proc(5))."""

    def executable(self) -> program.Identity:
        """Return the identity of the file that runs (/proc/PID/exe)."""

    def identities(self, paths: Sequence[str]) -> program.Fingerprint:
        """Return what is at these paths for the process (/proc/PID/root)."""


class Guest(typing.Protocol):
    """A started, paused guest, as a mechanism reads it.

    Every method may raise OSError or ValueError. The guest is then refused.
    """

    @property
    def uuid(self) -> str:
        """The UUID of the domain, equal to that of the Nova instance."""

    @property
    def name(self) -> str:
        """The name of the domain."""

    def domain_id(self) -> int:
        """Return libvirt's number of the running domain.

        With Xen it is the hypervisor's own number of the domain.
        """

    def domain_xml(self) -> str:
        """Return the XML of the running domain."""

    def security_label(self) -> tuple[str, bool]:
        """Return libvirt's label, and whether libvirt reports enforcement."""

    def process(self) -> Process | None:
        """Return the process that runs the guest.

        :returns: the process; None where the hypervisor runs such guests
            without a process on the host, e.g. a PV guest of Xen. Where a
            process should exist and cannot be found, the method raises
            OSError or ValueError and does not return None.
        """

    def other_process_labels(self) -> dict[str, str]:
        """Return domain name -> process label of every other running guest."""
