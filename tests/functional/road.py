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

"""The base of the tests of the roads to a running guest."""

from collections.abc import Iterator
import contextlib
import typing
from unittest import mock

from nova import objects
from nova.tests.fixtures import libvirt as fakelibvirt

from nova_isolation.virt import exception
from tests.functional import base

RUNNING = fakelibvirt.VIR_DOMAIN_RUNNING
PAUSED = fakelibvirt.VIR_DOMAIN_PAUSED

#: What a machine is asked of a guest that is verified, by :meth:`flavor`.
QUESTIONS = {'security_label', 'process_label', 'seccomp'}

#: How a guest begins to exist, paused.
BEGINNINGS = ('createWithFlags(1)', 'receive(paused=True)')

#: Why a host is refused that is no longer enforcing, and why a guest that is
#: not sandboxed.
NOT_ENFORCING = 'isolation.svirt.not_enforcing'
NO_SANDBOX = 'isolation.qemu.no_sandbox'

Server = dict[str, typing.Any]


class TestCase(base.TestCase):
    """Casts are casts, as in a cloud: what fails is told by Nova alone."""

    CAST_AS_CALL = False

    def tagged(self, **extra_specs: str) -> str:
        """A flavor that asks for a label and a sandbox."""
        return self.flavor(
            **{
                'svirt': 'selinux',
                'svirt_type': 'svirt_t',
                'qemu_sandbox': 'true',
            }
            | extra_specs
        )

    def permissive(self, host: str, publish: bool = False) -> None:
        """SELinux turns permissive; the host may say so or not yet."""
        self.machines[host].selinux = 'permissive'
        if publish:
            self.update(host)

    def enforcing(self, host: str) -> None:
        """All is well again, and the host says so."""
        self.machines[host].selinux = 'enforcing'
        self.machines[host].lies.clear()
        self.update(host)

    def unsandboxed(self, host: str) -> None:
        """Guests are not as asked; the host looks as ever."""
        self.machines[host].lies['seccomp'] = 0

    @contextlib.contextmanager
    def refused_late(self, host: str) -> Iterator[None]:
        """Guests are as asked, until Nova has waited for the network."""
        self.flags(vif_plugging_timeout=10)
        driver = self.driver(host)

        @contextlib.contextmanager
        def wait(*args: object, **kwargs: object) -> Iterator[None]:
            yield
            self.unsandboxed(host)

        with (
            mock.patch.object(driver.virtapi, 'wait_for_instance_event', wait),
            mock.patch.object(
                driver,
                '_get_neutron_events',
                return_value=[('network-vif-plugged', 'port')],
            ),
            mock.patch.object(
                driver, '_unplug_vifs', wraps=driver._unplug_vifs
            ) as unplug,
        ):
            yield
            unplug.assert_called()
        self.enforcing(host)

    def assertNoGuest(self, server: Server, host: str) -> None:
        """Nothing of a guest is left on a host."""
        self.assertNothingRuns(server)
        self.assertEqual({}, self.connection(host)._running_vms)
        self.assertEqual({}, self.connection(host)._vms)

    def act(
        self,
        server: Server,
        action: str,
        argument: object = None,
        microversion: str = 'latest',
    ) -> Server:
        """Do something to a server and wait until Nova is through with it.

        What was done to guests before is forgotten.

        :returns: the server
        """
        for machine in self.machines.values():
            machine.calls.clear()
        with mock.patch.object(self.api, 'microversion', microversion):
            self.api.post_server_action(server['id'], {action: argument})
        return self.settle(server)

    def settle(self, server: Server) -> Server:
        """Wait until Nova is through with the newest action."""

        def check() -> None:
            found = self.api.get_server(server['id'])
            self.assertIsNone(found['OS-EXT-STS:task_state'])
            # Of events with one name, Nova finishes only one.
            finished: dict[str, bool] = {}
            for event in self.newest(server):
                if not event['event'].startswith('isolation'):
                    done = event['finish_time'] is not None
                    finished.setdefault(event['event'], False)
                    finished[event['event']] |= done
            self.assertTrue(finished and all(finished.values()), finished)

        self._wait_for_assert(check, max_retries=600)
        return self.api.get_server(server['id'])

    def newest(self, server: Server) -> list[dict[str, typing.Any]]:
        """The events of the newest action, the newest first."""
        self.wait_reports()
        action = self.api.get_instance_actions(server['id'])[0]
        found: list[dict[str, typing.Any]] = (
            self.api.get_instance_action_details(
                server['id'], action['request_id']
            )['events']
        )
        return found

    def calls(self, host: str) -> list[str]:
        """What was done to guests on a host since the last action."""
        return list(self.machines[host].calls)

    def state(self, server: Server, host: str) -> int | None:
        """The state of a server's domain on a host; None: there is none."""
        for domain in self.connection(host)._vms.values():
            if domain.UUIDString() == server['id']:
                return int(domain._state)
        return None

    def allocations(self, consumer: str) -> set[str]:
        """The hosts on which a consumer holds something."""
        found = self._get_allocations_by_server_uuid(consumer)
        return {
            host for host, rp in self.compute_rp_uuids.items() if rp in found
        }

    def assertVerified(self, server: Server, host: str = 'host1') -> None:
        """The guest runs there, and did not before it was verified."""
        server = self.api.get_server(server['id'])
        self.assertHost(host, server)
        self.assertEqual(RUNNING, self.state(server, host))
        calls = self.calls(host)
        begun = max(calls.index(c) for c in BEGINNINGS if c in calls)
        self.assertVerifiedBefore(calls[begun:])
        domain = self.domain(server)
        for xml in (domain.xml, domain.defined):
            self.assertEqual(1, xml.count('model="selinux"'), xml)
        (event,) = self.ours(server, 'isolation_verify', host)
        self.assertEvent(event, 'Success', host)
        self.assertEqual({host}, self.allocations(server['id']))

    def assertVerifiedBefore(self, calls: list[str]) -> None:
        """What was done to a guest: it was verified, then it was resumed."""
        self.assertEqual(1, calls.count('resume'), calls)
        before = set(calls[: calls.index('resume')])
        self.assertGreaterEqual(before, QUESTIONS)

    def assertNothingRuns(self, server: Server) -> None:
        """No guest runs, nor did one since the last action."""
        for host in self.computes:
            self.assertNotIn('resume', self.calls(host))
            self.assertNotIn('createWithFlags(0)', self.calls(host))
            self.assertNotEqual(RUNNING, self.state(server, host))

    def assertRefused(
        self, server: Server, event: str, host: str, code: str
    ) -> None:
        """The newest action was refused by a host, and the user is told."""
        (found,) = self.ours(server, event, host)
        self.assertEvent(found, 'Error', host)
        self.assertIn(f'[{code}]', found['details'])
        self.assertFault(server, code)

    def assertFault(self, server: Server, code: str) -> None:
        """The newest fault is ours and has a code."""

        def check() -> None:
            fault = self.faults(server)[0]
            self.assertIn(exception.GuestRefused.MARK, fault)
            self.assertIn(f'[{code}]', fault)
            self.assertLessEqual(len(fault.encode()), 255)

        self._wait_for_assert(check, max_retries=200)

    def ours(
        self, server: Server, name: str, host: str
    ) -> list[dict[str, typing.Any]]:
        """The events of ours of the newest action by a host."""
        return [
            event
            for event in self.newest(server)
            if (event['event'], event['host']) == (name, host)
        ]

    def faults(self, server: Server) -> list[str]:
        """The faults, the newest first."""
        found = objects.InstanceFaultList.get_by_instance_uuids(
            self.context, [server['id']]
        )
        return [fault.message for fault in found]
