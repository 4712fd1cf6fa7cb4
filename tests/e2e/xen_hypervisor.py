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

"""The hypervisor of a host with Xen, without libvirt, libxl and xenstore."""

import dataclasses
import json
import uuid

from lab.machine import ssh as connections
from lab.xen import recipe

#: Xen's own bindings of libxenctrl. $1 is what is done; $2 and on are JSON.
_PROGRAM = """
import json, sys
from xen.lowlevel import xc
control = xc.xc()

def create(number, label, handle):
    # It has no processor and no memory.
    control.domain_create(
        domid=number,
        ssidref=control.flask_context_to_sid(label),
        handle=handle,
    )

what, *words = sys.argv[1:]
words = list(map(json.loads, words))
if what == "create":
    create(*words)
elif what == "destroy":
    control.domain_destroy(*words)
else:
    print(json.dumps(control.domain_getinfo(0, 1000)))
"""


@dataclasses.dataclass(frozen=True)
class Domain:
    """A domain, as the hypervisor has it."""

    number: int
    uuid: str
    paused: bool
    #: How long it has executed, in nanoseconds.
    time: int


class Hypervisor:
    """Asked by its domain control calls."""

    def __init__(self, ssh: connections.Ssh) -> None:
        """:param ssh: the connection to dom0"""
        self._ssh = ssh

    def domain(self, server: str) -> Domain | None:
        """The domain with a UUID; None: there is none."""
        for found in json.loads(self._call('list')):
            if str(uuid.UUID(bytes=bytes(found['handle']))) == server:
                return Domain(
                    found['domid'],
                    server,
                    bool(found['paused']),
                    found['cpu_time'],
                )
        return None

    def create(self, number: int, label: str) -> None:
        """Make a domain that never runs.

        :param number: its number, which no domain has
        """
        self._call('create', number, label, list(uuid.uuid4().bytes))

    def destroy(self, number: int) -> None:
        """Destroy such a domain."""
        self._call('destroy', number)

    def _call(self, what: str, *words: object) -> str:
        return self._ssh.check(
            [
                'env',
                f'PYTHONPATH={recipe.PROGRAMS.parent}/lib/python',
                'python3',
                '-c',
                _PROGRAM,
                what,
                *map(json.dumps, words),
            ]
        )
