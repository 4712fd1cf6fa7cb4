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

"""What is asked of a Xen hypervisor, and what it answers.

The names and numbers are those of Xen's public headers
(xen/include/public/domctl.h) and of its FLASK policy
(xen/xsm/flask/policy/access_vectors).
"""

import dataclasses

#: The states of FLASK. Without XSM in the hypervisor, and where it was turned
#: off at boot, there is nothing that could be asked: absent.
ABSENT, PERMISSIVE, ENFORCING = 'absent', 'permissive', 'enforcing'

#: The UUID of dom0, which Xen gives to no guest.
DOM0_UUID = '00000000-0000-0000-0000-000000000000'

#: Permissions of the class event.
BIND, SEND, CREATE_CHANNEL = 1, 2, 8

#: Permissions of the class grant: access to pages of another domain.
MAP_READ, MAP_WRITE, TRANSFER, COPY = 1, 2, 8, 32


@dataclasses.dataclass(frozen=True)
class Question:
    """What is asked in one go, so that the answers belong together.

    :ivar labels: labels of which it is asked whether the policy knows them
    :ivar pairs: (source, target) labels of which it is asked what domains
        with the one may do to domains with the other
    :ivar uuid: the UUID of the domain whose devices are asked for; None: of no
        domain
    """

    labels: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    uuid: str | None = None


@dataclasses.dataclass(frozen=True)
class Label:
    """A label, as the loaded policy has it.

    :ivar asked: the label that was asked for
    :ivar canonical: the text by which the policy writes it; None: the policy
        does not know it
    :ivar creatable: whether dom0 may create a domain with it
    """

    asked: str
    canonical: str | None
    creatable: bool


@dataclasses.dataclass(frozen=True)
class Access:
    """What the loaded policy lets one domain do to another one.

    All numbers are bit maps of permissions.

    :ivar source: the label of the domain that acts
    :ivar target: the label of the other domain
    :ivar known: whether the policy knows both labels; the numbers are 0
        where it does not
    :ivar channel: of the class event, what the source may do with an event
        channel of its own to the target
    :ivar bound: of the class event, what such a channel may do to the target
    :ivar grant: of the class grant, what the source may do with pages that
        the target has granted
    """

    source: str
    target: str
    known: bool
    channel: int
    bound: int
    grant: int

    @property
    def opens(self) -> bool:
        """Whether the source may have an event channel to the target."""
        return bool(self.channel & CREATE_CHANNEL and self.bound & BIND)

    @property
    def signals(self) -> bool:
        """Whether the source may also send events through that channel."""
        return self.opens and bool(self.channel & SEND)

    @property
    def maps(self) -> bool:
        """Whether the source may read and write granted pages."""
        return self.grant & (MAP_READ | MAP_WRITE) == MAP_READ | MAP_WRITE

    @property
    def reaches(self) -> bool:
        """Whether the source reaches the target at all, or may do so.

        Nothing is said of a label that the policy does not know.
        """
        pages = MAP_READ | MAP_WRITE | TRANSFER | COPY
        return not self.known or self.opens or bool(self.grant & pages)


@dataclasses.dataclass(frozen=True)
class Hypervisor:
    """The hypervisor that runs.

    :ivar version: for example ``4.17``
    :ivar flask: one of the states above
    :ivar seqno: how many policies were loaded and booleans changed since the
        boot, with the policy of the boot (1); 0 without FLASK
    :ivar build_id: the linker's digest of the hypervisor, hexadecimal; it
        covers the policy that is compiled in
    :ivar command_line: the hypervisor's command line
    """

    version: str
    flask: str
    seqno: int
    build_id: str
    command_line: str


@dataclasses.dataclass(frozen=True)
class Domain:
    """A domain, as the hypervisor has it.

    :ivar id: its number, which no other domain has now
    :ivar uuid: its UUID, which the toolstack has chosen
    :ivar label: its label; '' without FLASK
    :ivar paused: whether the toolstack has paused it
    :ivar dying: whether it is being destroyed
    :ivar hvm: whether it uses the processor's virtualization (HVM and PVH)
    """

    id: int
    uuid: str
    label: str
    paused: bool
    dying: bool
    hvm: bool


@dataclasses.dataclass(frozen=True)
class Device:
    """A device of a domain, as the toolstack has noted it in xenstore.

    The guest can write its own part of xenstore, and this is not read there.

    :ivar kind: for example ``vbd`` (a disk) or ``vif`` (a port)
    :ivar name: its name among those, for example ``51712``
    :ivar backend: the number of the domain that serves it
    :ivar driver: what serves it there: ``vbd`` is the kernel of that domain,
        ``qdisk`` a QEMU
    :ivar state: the state of the backend (XenbusState): 2 it waits for the
        guest, 4 it is connected; 0 unknown
    """

    kind: str
    name: str
    backend: int
    driver: str
    state: int


@dataclasses.dataclass(frozen=True)
class Answer:
    """The answer to one question.

    :ivar hypervisor: the hypervisor, the same before and after all the rest
    :ivar labels: one for each label that was asked for, in the same order;
        empty without FLASK
    :ivar accesses: one for each pair that was asked for, in the same order;
        empty without FLASK
    :ivar around: what the domain that was asked for, and domains with the
        label of each domain that runs, may do to each other, both ways; empty
        without FLASK
    :ivar domains: all domains, dom0 among them
    :ivar devices: the devices of the domain that was asked for
    :ivar has_model: whether the toolstack has noted a device model for it
    """

    hypervisor: Hypervisor
    labels: tuple[Label, ...] = ()
    accesses: tuple[Access, ...] = ()
    around: tuple[Access, ...] = ()
    domains: tuple[Domain, ...] = ()
    devices: tuple[Device, ...] = ()
    has_model: bool = False

    def domain(self, uuid: str) -> Domain | None:
        """Return the domain with a UUID.

        :raises ValueError: several domains have this UUID
        """
        found = [
            one for one in self.domains if one.uuid == uuid and not one.dying
        ]
        if len(found) > 1:
            raise ValueError(f'{len(found)} domains have the UUID {uuid}')
        return found[0] if found else None

    def between(self, source: str, target: str) -> Access:
        """Return what the one may do to the other.

        :param source: a label, one of the two that of the domain that was
            asked for
        :param target: a label, likewise
        :raises ValueError: the hypervisor was not asked this
        """
        for access in self.around:
            if (access.source, access.target) == (source, target):
                return access
        raise ValueError(f'Xen was not asked about {source} and {target}')


@dataclasses.dataclass(frozen=True)
class Process:
    """A process of dom0 that belongs to Xen's tools or to nova-compute.

    :ivar name: the name of the program, for example ``xenstored``
    :ivar label: its label, by the kernel of dom0
    :ivar domain: the number of the domain whose device model it is; None: it
        is no device model
    :ivar pid: its process id
    """

    name: str
    label: str
    domain: int | None
    pid: int
