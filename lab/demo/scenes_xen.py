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


"""The scenes about guests that Xen's FLASK isolates."""

from typing import Any

from lab.cloud import cloud as clouds
from lab.cloud import placement
from lab.cloud import xen_guest_image
from lab.cloud import xen_launch
from lab.demo import stage
from lab.guests import guests as guest_api
from lab.guests import xen_domain
from lab.guests import xen_specs
from lab.guests import xen_virsh
from lab.hosts import xen_host
from lab.xen import driver_domain
from lab.xen import recipe
from nova_isolation.mechanisms.attested import attestation_result

HOST = 'cpu-xen'
FLAVOR = 'demo.alice'
_SPECS = {
    **xen_specs.ALL,
    'isolation:attested': 'true',
    'isolation:attested_pcrs': f'{xen_launch.DETAILS},'
    f'{xen_launch.AUTHORITIES}',
}
_PLAIN = 'demo.plain'
_UNKNOWN = 'demo.unknown'
_TRAITS = {
    'CUSTOM_ISOLATION_ATTESTED',
    'CUSTOM_ISOLATION_XSM',
    'CUSTOM_ISOLATION_XSM_DOM0_SELINUX',
}
_VERIFY_EVENT, _REVERIFY_EVENT = 'isolation_verify', 'isolation_reverify'
_BOOT_SECONDS = 1800
_DELETE_SECONDS = 900
#: A host measures itself, and verifies its guests, about once a minute.
_MEASURED_SECONDS = 900
_LABEL = f'system_u:system_r:{recipe.GUEST_TYPE}'


class XenScenes(stage.Stage):
    """The scenes, on a cloud with the host HOST and one without Xen."""

    def __init__(self, cloud: clouds.Cloud) -> None:
        super().__init__(cloud)
        self._guests = guest_api.Guests(
            cloud, self._api, xen_guest_image.IMAGE
        )
        host = cloud.hosts[HOST]
        if not isinstance(host, xen_host.XenHost):
            self._fail(f'{HOST} has Xen')
        self._host = host
        self._ssh = host.ssh(cloud.supervisor)

    def run(self) -> None:
        """Show all scenes.

        :raises LabError: at the first claim that is false
        """
        self._hosts()
        self._launched()
        first, second = self._alice()
        plain, other = self._plain()
        self._apart(first, second, plain, other)
        for server in (second, plain, other):
            self._guests.delete(server, _DELETE_SECONDS)
        self._unknown_label()
        self._driver_domain()
        self._not_enforcing(
            first,
            'SELinux in dom0',
            ('setenforce', '0'),
            ('setenforce', '1'),
            'isolation.xsm.dom0',
        )
        self._not_enforcing(
            first,
            'FLASK in the hypervisor',
            ('xl', 'setenforce', '0'),
            ('xl', 'setenforce', '1'),
            'isolation.xsm.not_enforcing',
        )
        self._launched_again()
        self._guests.delete(first, _DELETE_SECONDS)

    def _hosts(self) -> None:
        self._title(f'The host {HOST}: Xen with FLASK, SELinux in its dom0')
        for command in (
            'xl getenforce',
            'getenforce',
            "xl info | sed -n 's/^xen_commandline *: //p'",
            'ps -o label= -C libvirtd',
            'ps -o label= -C xenstored',
        ):
            print(f'  $ {command}: {self._dom0(command)}')
        self._check(
            self._dom0('xl getenforce') == 'Enforcing'
            and self._dom0('getenforce') == 'Enforcing',
            'both enforce',
        )

    def _launched(self) -> None:
        self._title('Its launch is measured into PCR 17 and 18 of its TPM')
        print(
            "  the hypervisor's file, with the policy in it, and its command\n"
            "  line; dom0's kernel with its command line; its initramfs\n"
            '  (simulated: swtpm is told of it as tboot would tell a TPM)'
        )
        launch = xen_launch.Launch(self._host.image)
        attestation = self._cloud.attestation
        launch.simulate(attestation, HOST)
        attestation.enroll(HOST, launch.policy)
        attestation.verdicts.wait_at_verifier(HOST, 'PASS')
        attestation.verdicts.wait_at_attestd(HOST, attestation_result.GOOD)
        for pcr in launch.policy:
            print(f'  {HOST}: PCR {pcr} {attestation.pcr(HOST, pcr)}')
        print(f'  {HOST}: attested')
        # The host offers it at its next measurement.
        self._cloud.supervisor.wait(
            f'{HOST} to offer what it has',
            lambda: set(placement.traits(self._api, HOST)) >= _TRAITS,
            _MEASURED_SECONDS,
            every=1,
            instead=lambda: ' '.join(placement.traits(self._api, HOST)),
        )

    def _launched_again(self) -> None:
        other = recipe.HYPERVISOR_COMMAND_LINE.replace(
            'flask=enforcing', 'flask=permissive'
        )
        self._title('Another launch, with flask=permissive: refused')
        attestation = self._cloud.attestation
        launch = xen_launch.Launch(self._host.image, other)
        launch.simulate(attestation, HOST)
        attestation.verdicts.wait_at_attestd(HOST, attestation_result.FAILED)
        for pcr in launch.policy:
            print(f'  {HOST}: PCR {pcr} {attestation.pcr(HOST, pcr)}')
        server = self._guests.boot('alice-4', FLAVOR, seconds=_BOOT_SECONDS)
        self._check(server.status == 'ERROR', f'{server.name} is refused')
        print(f'  {server.name}: {server.status}: {self._fault(server)}')
        self._explained(FLAVOR, 'isolation.attested.')
        self._guests.delete(server, _DELETE_SECONDS)

    def _alice(self) -> tuple[Any, Any]:
        self._title("Alice's flavor lands only there, with her label")
        self._flavor(FLAVOR, _SPECS)
        # One after the other: dom0 has one processor, which is emulated, and
        # what libxl waits for has limits.
        first, second = (
            self._active(self._guests.create(f'alice-{number}', FLAVOR))
            for number in (1, 2)
        )
        for server in (first, second):
            label = self._domain(server).label
            self._check(label == _LABEL, f'{label} is as asked')
            events = [
                event['result']
                for event in self._guests.events(server)
                if event['event'] == _VERIFY_EVENT
            ]
            print(f'  {server.name}: event {_VERIFY_EVENT}: {events}')
            self._check(events == ['Success'], f'{server.name} was verified')
        print(self._indented(self._dom0('xl list -Z')))
        models = self._dom0(
            'ps -eo args= | grep -c "[-]xen-domid [1-9]" || true'
        )
        print(f'  device models of guests in dom0: {models}')
        self._check(models == '0', 'no guest has a device model')
        return first, second

    def _plain(self) -> tuple[Any, Any]:
        self._title('Two guests without tags, on the same host')
        self._flavor(_PLAIN, {})
        first, second = (
            self._active(
                self._guests.create(f'plain-{number}', _PLAIN, host=HOST)
            )
            for number in (1, 2)
        )
        for server in (first, second):
            print(f'  {server.name}: {self._domain(server).label}')
        return first, second

    def _apart(self, first: Any, second: Any, plain: Any, other: Any) -> None:
        self._title(
            'The hypervisor denies them event channels to each other and to '
            'others'
        )
        for one, another, allowed in (
            (plain, other, True),
            (first, second, False),
            (first, plain, False),
            (plain, first, False),
        ):
            said = self._reach(self._domain(one), self._domain(another))
            print(f'  {one.name} -> {another.name}: {said}')
            self._check(
                said.startswith('allowed') == allowed,
                f'{one.name} -> {another.name} is '
                f'{"allowed" if allowed else "denied"}',
            )
        denied = [
            line
            for line in self._dom0('xl dmesg').splitlines()
            if 'denied' in line
            and 'tclass=event' in line
            and recipe.GUEST_TYPE in line
        ]
        self._check(bool(denied), 'Xen has logged what it denied')
        print(f'  $ xl dmesg\n{self._indented(denied[-1])}')

    @staticmethod
    def _reach(one: xen_domain.Domain, other: xen_domain.Domain) -> str:
        """One guest makes an event channel, and the other binds to it.

        :returns: how far they came
        """
        said = one.peer('listen', str(other.number))
        if not said.startswith('allowed'):
            return said
        return other.peer('bind', str(one.number), said.split()[-1])

    def _unknown_label(self) -> None:
        self._title('A label that the policy does not know')
        self._flavor(_UNKNOWN, {**_SPECS, 'isolation:xsm_label': 'no_such_t'})
        server = self._guests.boot('unknown', _UNKNOWN, seconds=_BOOT_SECONDS)
        self._check(server.status == 'ERROR', f'{server.name} is refused')
        print(f'  {server.name}: {server.status}: {self._fault(server)}')
        self._explained(_UNKNOWN, 'isolation.xsm.no_label')
        self._guests.delete(server, _DELETE_SECONDS)
        domain = xen_virsh.create(
            self._cloud.supervisor, self._ssh, 'by-virsh', 'no_such_t'
        )
        try:
            xml = self._host.virsh(
                self._cloud.supervisor, 'dumpxml', domain.name
            )
            print(
                '  Beside it, "virsh create" of a guest with that label:\n'
                f'    it runs as {domain.label}\n'
                '    virsh dumpxml says '
                f'{"no_such_t" if "no_such_t" in xml else "something else"}'
            )
            self._check(
                domain.label == 'system_u:system_r:domU_t',
                'libvirt starts it as any other guest',
            )
        finally:
            xen_virsh.destroy(self._ssh, domain.name)

    def _driver_domain(self) -> None:
        self._title('A guest whose disk the driver domain serves')
        domain = xen_virsh.create(
            self._cloud.supervisor,
            self._ssh,
            'served',
            recipe.GUEST_TYPE,
            served=True,
        )
        try:
            self._cloud.supervisor.wait(
                'the disk of the guest', domain.connected, _BOOT_SECONDS
            )
            backend = domain.backend()
            number = int(self._dom0(f'xl domid {driver_domain.NAME}'))
            print(
                f'  {domain.name}: {domain.label}\n'
                f'    its disk is served by domain {backend}, '
                f'{driver_domain.NAME}: {driver_domain.LABEL}'
            )
            self._check(
                backend == number, f'the disk is served by domain {number}'
            )
        finally:
            xen_virsh.destroy(self._ssh, domain.name)

    def _not_enforcing(
        self,
        running: Any,
        what: str,
        off: tuple[str, ...],
        on: tuple[str, ...],
        code: str,
    ) -> None:
        self._title(f'{what} is permissive after {" ".join(off)}: refused')
        before = self._reports(running)
        self._dom0(' '.join(off))
        try:
            server = self._guests.boot(
                'alice-3', FLAVOR, seconds=_BOOT_SECONDS
            )
            self._check(server.status == 'ERROR', f'{server.name} is refused')
            print(f'  {server.name}: {server.status}: {self._fault(server)}')
            self._explained(FLAVOR, code)
            self._guests.delete(server, _DELETE_SECONDS)
            told = self._cloud.supervisor.wait(
                f'a report about {running.name}',
                lambda: self._reports(running)[len(before) :],
                _MEASURED_SECONDS,
                every=2,
            )
            print(f'  {running.name}, running: {_REVERIFY_EVENT}: {told[0]}')
            self._check('Error' in told, f'{running.name} is reported')
        finally:
            self._dom0(' '.join(on))
        self._explained(FLAVOR, f'{HOST}: accepted')

    def _reports(self, server: Any) -> list[str]:
        return [
            event['result']
            for event in self._guests.events(server)
            if event['event'] == _REVERIFY_EVENT
        ]

    def _active(self, server: Any) -> Any:
        server = self._running(server, HOST, _BOOT_SECONDS)
        self._guests.wait_console(server, _BOOT_SECONDS)
        print(f'  {server.name}: ACTIVE on {server.compute_host}')
        return server

    def _domain(self, server: Any) -> xen_domain.Domain:
        return xen_domain.Domain(
            self._cloud.supervisor, self._ssh, server.instance_name
        )

    def _explained(self, flavor: str, wanted: str) -> None:
        """Show what explain says of the host, once it contains ``wanted``."""
        found = self._wait_explained(flavor, wanted, _MEASURED_SECONDS)
        self._show_explanation(flavor, found.strip())

    def _dom0(self, command: str) -> str:
        # The exit status of "xl getenforce" is the mode.
        return self._host.run(
            self._cloud.supervisor, ['sh', '-c', command]
        ).stdout.strip()
