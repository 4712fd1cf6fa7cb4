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

"""What fails on a host with Xen, while guests run and start there.

Nothing of it lets a guest run that was not verified, and nothing of it ends a
guest that runs.
"""

from collections.abc import Iterator
import contextlib
import re
from typing import Any

from lab.run import marks
from tests.e2e import base
from tests.e2e import test_xen

_METADATA = re.compile(r'<metadata>.*?</metadata>', re.S)
_LABEL = re.compile(r'(<label>system_u:system_r:)\w+(</label>)')
_VIRSH = 'virsh -q -c xen:///system'
#: Kills libvirtd as soon as the domain $1 is there, paused.
_KILL = """
until xl list "$1" 2>/dev/null | grep -q -e '--p---'; do sleep 0.2; done
kill -9 "$(pidof libvirtd)"
"""


class FaultsTest(test_xen.SharedGuestTestCase):
    """Faults beside the guest that tests share."""

    def setUp(self) -> None:
        super().setUp()
        self.number = self.domain(self.server).number
        self.before = len(self.reverified(self.server))

    @contextlib.contextmanager
    def stopped(self, *command: str) -> Iterator[None]:
        """Have a command stop a process, and continue it at the end.

        :param command: what sends a signal, without the signal's name
        """
        name, *rest = command
        self.ssh.check([name, '-s', 'STOP', *rest])
        try:
            yield
        finally:
            self.ssh.check([name, '-s', 'CONT', *rest])

    def starting(self) -> Any:
        """Ask for another guest like the shared one."""
        flavor = self.flavor(test_xen.ALL)
        server = self.guests.create(flavor.name, flavor.id)
        self.addCleanup(self.guests.delete, server, self.delete_seconds)
        return server

    def ended(self, server: Any) -> Any:
        """Wait until it is decided whether a server runs."""
        return self.guests.wait_status(
            server, ('ACTIVE', 'ERROR'), self.boot_seconds
        )

    def assertNeverRan(self, server: Any) -> None:
        """Nothing of a server's guest is there, and it has printed nothing."""
        domain = self.domain(server)
        self.cloud.supervisor.wait(
            f'the end of {domain.name}',
            lambda: self.ssh.run(['xl', 'domid', domain.name]).returncode,
            self.delete_seconds,
            every=1,
        )
        said = self.ssh.run(['cat', str(domain.console)]).stdout
        self.assertNotIn(marks.GUEST_UP, said)

    def assertLeftAlone(self) -> None:
        """The shared guest runs as before."""
        self.assertEqual(self.number, self.domain(self.server).number)
        server = self.api.compute.get_server(self.server.id)
        self.assertEqual('ACTIVE', server.status)

    def test_xenstored_does_not_answer(self) -> None:
        with self.stopped('kill', self.ssh.check(['pidof', 'xenstored'])):
            other = self.starting()
            self.wait_reverified(self.server, self.before, 'Error')
            found = self.api.compute.get_server(other.id)
            self.assertNotEqual('ACTIVE', found.status)
        self.assertLeftAlone()
        other = self.ended(other)
        if other.status == 'ACTIVE':
            self.assertEvent(other, 'isolation_verify', 'Success')
        else:
            self.assertNeverRan(other)

    def test_libvirtd_dies_before_the_guest_is_resumed(self) -> None:
        other = self.starting()
        name = self.cloud.supervisor.wait(
            'the name of the domain',
            lambda: self.api.compute.get_server(other.id).instance_name,
            base.TestCase.boot_seconds,
        )
        self.ssh.check(['sh', '-c', _KILL, 'sh', name], self.boot_seconds)
        other = self.ended(other)
        self.assertEqual('ERROR', other.status)
        self.assertNeverRan(other)
        self.assertLeftAlone()

    def test_another_domain_under_the_name_of_the_server(self) -> None:
        """Somebody destroys the guest and starts another one in its place."""
        name = self.server.instance_name
        xml = self.ssh.check([*_VIRSH.split(), 'dumpxml', name])
        other = _LABEL.sub(r'\1domU_t\2', _METADATA.sub('', xml))
        with self.stopped('systemctl', 'kill', 'nova-compute'):
            self.ssh.check(
                [
                    'sh',
                    '-c',
                    f'{_VIRSH} destroy "$1" && {_VIRSH} create /dev/stdin',
                    'sh',
                    name,
                ],
                self.boot_seconds,
                other,
            )
        domain = self.domain(self.server)
        self.assertNotEqual(self.number, domain.number)
        self.wait_reverified(self.server, self.before, 'Error')
        # It is reported, and not ended.
        self.assertEqual('system_u:system_r:domU_t', domain.label)
        # Nova makes the server's own guest again.
        self.api.compute.reboot_server(self.server, 'HARD')
        self.cloud.supervisor.wait(
            'the own guest',
            lambda: domain.label == test_xen.LABEL,
            self.boot_seconds,
            every=2,
            instead=lambda: domain.label,
        )
        self.ended(self.server)
