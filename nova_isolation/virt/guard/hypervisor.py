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

"""What the guard and the watch need from the virtualization stack.

Everything that is particular to one stack (libvirt with QEMU, another
toolstack, another process model) is behind :class:`Hypervisor`. A *handle*
is whatever the driver uses for a guest, e.g. Nova's ``Guest`` of the libvirt
driver; the guard only passes it on.
"""

import abc
from collections.abc import Iterable
import dataclasses
import typing

from nova_isolation.mechanisms import sources


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of a guest, from its start to its end.

    :ivar id: tells this run from each other run of the guest
    :ivar executes: whether the guest executes now. A guest that is being
        started does not execute yet, nor does a paused one.
    """

    id: int
    executes: bool


@dataclasses.dataclass(frozen=True)
class Arrival:
    """How far a guest has come that another host sends.

    :ivar boot: the run of the guest on this host, see :meth:`Hypervisor.boot`
    :ivar complete: whether all of the guest is here, and it is paused as it
        came; otherwise its memory is still copied
    """

    boot: str
    complete: bool


class Hypervisor(abc.ABC):
    """The virtualization stack of one compute host."""

    @abc.abstractmethod
    def guest(
        self, handle: typing.Any, shared: typing.Any = None
    ) -> sources.Guest:
        """A started guest, as the mechanisms verify it.

        :param handle: the guest
        :param shared: what :meth:`shared` returned for this look at the
            host; None: nothing is shared
        """

    def shared(self, before: typing.Any = None) -> typing.Any:
        """What the verifications of several guests share, if anything.

        Made anew for each look at the host.

        :param before: what this returned for an earlier look; of that, what
            cannot have changed since then is not read again
        """
        return None

    @abc.abstractmethod
    def begin_start(self, handle: typing.Any) -> None:
        """Note that this software is about to start a guest paused.

        The note outlives this process, the hypervisor and a reboot of the
        host. It ends when Nova defines the guest anew.

        :raises Exception: that could not be noted; the guest must not be
            started
        """

    @abc.abstractmethod
    def end_start(self, handle: typing.Any) -> None:
        """Note that the start is over: the guest was verified and resumed.

        :raises Exception: that could not be noted
        """

    @abc.abstractmethod
    def is_starting(self, handle: typing.Any) -> bool:
        """Whether a start that began has not ended.

        If the guest is paused, it is paused for that start and never ran.

        :raises Exception: the hypervisor cannot be asked now
        """

    @abc.abstractmethod
    def is_paused(self, handle: typing.Any) -> bool:
        """Whether a guest is paused, by whoever knows it best.

        :raises Exception: that cannot be asked now, or there is no such guest
        """

    @abc.abstractmethod
    def power_off(self, handle: typing.Any) -> None:
        """Power a guest off if it is active, running or paused.

        :raises Exception: the guest could not be powered off
        """

    @abc.abstractmethod
    def power_off_paused(self, uuid: str) -> bool:
        """Power a guest off if it exists and is paused.

        :param uuid: the UUID of the instance
        :returns: whether it was powered off. False: there was nothing to
            power off
        :raises Exception: the hypervisor cannot be asked now
        """

    @abc.abstractmethod
    def may_have_started(self, error: BaseException) -> bool:
        """Whether a start that raised may have started the guest anyway."""

    def is_hook(self, error: BaseException) -> bool:
        """Whether a start that raised was refused by a hook of this project.

        What a hook says is for admins.
        """
        return False

    @abc.abstractmethod
    def running(self) -> Iterable[typing.Any]:
        """The handles of the guests that run or are paused.

        :raises Exception: the hypervisor cannot be asked now
        """

    @abc.abstractmethod
    def uuid(self, handle: typing.Any) -> str:
        """The UUID of a guest's instance."""

    @abc.abstractmethod
    def definition(self, handle: typing.Any) -> str:
        """The XML of a guest, with the metadata that Nova wrote into it.

        :raises Exception: the guest has ended
        """

    @abc.abstractmethod
    def run(self, handle: typing.Any) -> Run | None:
        """The present run of a guest; None: the guest has ended.

        :raises Exception: the hypervisor cannot be asked now
        """

    def started_run(self, handle: typing.Any) -> int | None:
        """The id of the run that a start with this handle has just begun.

        Does not wait for the hypervisor.

        :param handle: the guest, which was started with this very handle
        :returns: None: this stack does not tell; it can be asked with
            :meth:`run`
        """
        return None

    def arrival(self, handle: typing.Any) -> Arrival | None:
        """How far a guest has come that another host sends.

        :returns: None: it is no such guest, it runs, or this stack does not
            tell
        :raises Exception: the hypervisor or the process cannot be asked now
        """
        return None

    def has_arrived(self, handle: typing.Any) -> bool:
        """Whether :meth:`arrival` would say that a guest is complete.

        Cheaper: only the hypervisor is asked, not the process.

        :raises Exception: the hypervisor cannot be asked now
        """
        return False

    @abc.abstractmethod
    def boot(self, guest: sources.Guest) -> str:
        """Name this run of a guest as no other run is ever named.

        For evidence (:class:`nova_isolation.evidence.statement.Subject`).

        :param guest: what :meth:`guest` returned
        :returns: 32 hexadecimal digits, which say nothing about the host
        :raises Exception: the guest has ended, or this stack cannot name its
            runs; there is no evidence then
        """

    @abc.abstractmethod
    def pause(self, handle: typing.Any) -> None:
        """Pause a running guest.

        :raises Exception: the guest could not be paused
        """
