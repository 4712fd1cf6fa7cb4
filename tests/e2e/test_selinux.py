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


"""Guests on a host that enforces SELinux, and on one that stops enforcing."""

from pathlib import Path
from typing import Any
from typing import ClassVar

from lab.guests import intruder
from lab.machine import nova_account
from lab.machine import recipe
from nova_isolation.mechanisms.svirt import security_label
from tests.e2e import base
from tests.e2e import machines

_TYPE = recipe.PERMISSIVE_TYPE
_OF_TYPE = {'isolation:svirt': 'selinux', 'isolation:svirt_type': _TYPE}
_SELINUX = {'isolation:svirt': 'selinux'}
#: A pattern, because the number in the name is the version of the format.
_POLICY = '/etc/selinux/default/policy/policy.*'
#: A program that asks what nova-compute and its privileged helper ask of the
#: host, and what the kernel says where it may not.
_QUESTIONS = Path(__file__).with_name('domain_questions.py')
_REFUSALS = {'Permission denied', 'Operation not permitted'}
#: Those of the privileged helper, and of what starts QEMU for it in another
#: root folder.
_CAPABILITIES = (
    'CAP_DAC_READ_SEARCH CAP_KILL CAP_SETGID CAP_SETUID CAP_SYS_CHROOT '
    'CAP_SYS_PTRACE'
)
#: A file that only nova may read.
_SECRET = Path('/var/tmp/of-nova')
#: The emulated machine examines QEMU twice.
_ANSWER_SECONDS = 1800.0

#: Makes the host permissive when a guest starts, as setenforce does. Without
#: other programs: the machine's only processor is emulated.
_PERMISSIVE_AT_START = (
    'import glob, time\n'
    'while not glob.glob("/run/libvirt/qemu/instance-*.pid"):\n'
    '    time.sleep(0.05)\n'
    'open("/sys/fs/selinux/enforce", "w").write("0")\n'
)


class SelinuxTestCase(machines.TestCase):
    """A test on the host with SELinux."""

    HOST = machines.SELINUX

    def label(self, server: Any) -> security_label.Label:
        """The parsed label of a guest's QEMU."""
        return security_label.parse(self.guests.label(server))

    def load(self, policy: Path) -> None:
        """Install a binary policy on the host, and load it.

        load_policy converts it to the version that the kernel supports.
        """
        self.on_host('sh', '-c', f'cp {policy} {_POLICY} && load_policy')

    def use(self, policy: Path) -> Path:
        """Load a policy until the end of the test.

        :returns: the usual policy
        """
        usual = Path('/root/usual-policy')
        self.on_host('sh', '-c', f'cp {_POLICY} {usual}')
        self.addCleanup(self.load, usual)
        self.load(policy)
        return usual


class ConfinedTest(SelinuxTestCase):
    """Two guests: one with its flavor's type, one with libvirt's default."""

    SHARED: ClassVar = (_OF_TYPE, _SELINUX)

    def setUp(self) -> None:
        super().setUp()
        self.offline, self.usual = self.shared

    def test_verified_and_running(self) -> None:
        for server in self.shared:
            self.assertRuns(server)

    def test_nova_compute_is_not_root(self) -> None:
        self.assertNotRoot()
        for server in self.shared:
            pid = self.guests.qemu_pid(server)
            user = self.on_host('ps', '-o', 'user:32=', '-p', str(pid))
            self.assertEqual(nova_account.EMULATOR_USER, user)

    def test_type_of_the_flavor(self) -> None:
        self.assertEqual(_TYPE, self.label(self.offline).type)

    def test_type_of_the_host(self) -> None:
        self.assertEqual('svirt_t', self.label(self.usual).type)

    def test_categories_are_their_own(self) -> None:
        labels = [self.label(server) for server in self.shared]
        for label in labels:
            self.assertFalse(label.is_range)
            self.assertEqual(2, len(label.categories))
        self.assertNotEqual(labels[0].categories, labels[1].categories)

    def test_disk_of_another_guest(self) -> None:
        for server, other in (
            (self.offline, self.usual),
            (self.usual, self.offline),
        ):
            qemu = intruder.Intruder(self.cloud, server)
            self.assertIn(
                'Permission denied', qemu.open_file(self.disk(other))
            )
            (line, *_) = qemu.denials(self.guests.label(server), 'tclass=file')
            self.assertIn('permissive=0', line)
            level = self.guests.label(other).split(':', 3)[3]
            self.assertIn(f'svirt_image_t:{level} ', line)

    def test_own_disk(self) -> None:
        for server in self.shared:
            qemu = intruder.Intruder(self.cloud, server)
            self.assertEqual('', qemu.open_file(self.disk(server), True))

    def test_the_example_type_is_offline(self) -> None:
        self.assertEqual(
            '', intruder.Intruder(self.cloud, self.usual).listen(5999)
        )
        qemu = intruder.Intruder(self.cloud, self.offline)
        self.assertIn('Permission denied', qemu.listen(5998))
        (line, *_) = qemu.denials(_TYPE, 'tclass=tcp_socket')
        self.assertIn('permissive=0', line)


class AnyTest(SelinuxTestCase):
    """isolation:svirt=any, on a host with SELinux."""

    def test_any(self) -> None:
        server = self.boot({'isolation:svirt': 'any'}, host=self.HOST)
        self.assertRuns(server)
        self.assertEqual('svirt_t', self.label(server).type)


class RefusedTest(SelinuxTestCase):
    """Requirements that the host does not meet."""

    def test_unknown_type(self) -> None:
        flavor = self.flavor({**_OF_TYPE, 'isolation:svirt_type': 'no_such_t'})
        self.assertNoValidHost(self.boot_flavor(flavor))
        self.assertExplained(
            flavor, self.HOST, 'isolation.svirt.type_not_allowed'
        )

    def test_type_that_guests_are_not_given(self) -> None:
        # The type exists in the policy.
        flavor = self.flavor(
            {**_OF_TYPE, 'isolation:svirt_type': 'svirt_prot_exec_t'}
        )
        self.assertNoValidHost(self.boot_flavor(flavor))

    def test_apparmor(self) -> None:
        flavor = self.flavor({'isolation:svirt': 'apparmor'})
        self.assertNoValidHost(self.boot_flavor(flavor, host=self.HOST))
        self.assertExplained(flavor, self.HOST, 'isolation.svirt.no_model')


class PermissiveTest(SelinuxTestCase):
    """A host that stops enforcing."""

    def tearDown(self) -> None:
        self.on_host('setenforce', '1')
        super().tearDown()

    def assertRefusedOnHost(self, server: Any, code: str) -> None:
        fault = self.refused_to_start(server)
        if base.NO_VALID_HOST not in fault['message']:
            server = self.guests.wait_fault(server, code)
        self.assertNoAllocations(server)

    def test_at_create(self) -> None:
        flavor = self.flavor(_SELINUX)
        self.on_host('setenforce', '0')
        server = self.boot_flavor(flavor, host=self.HOST)
        self.assertRefusedOnHost(server, 'isolation.svirt.not_enforcing')
        self.wait_explained(flavor, 'isolation.svirt.not_enforcing')
        # The host enforces again.
        self.on_host('setenforce', '1')
        self.wait_explained(flavor, f'{self.HOST}: accepted')

    def test_between_start_and_verification(self) -> None:
        # libvirt writes such a file when it has started a paused QEMU.
        self.on_host(
            'systemd-run',
            '--quiet',
            '--collect',
            '--nice=-20',
            '/usr/bin/python3',
            '-c',
            _PERMISSIVE_AT_START,
        )
        server = self.boot(_SELINUX, host=self.HOST)
        self.assertEqual('Permissive', self.on_host('getenforce'))
        self.refused_to_start(server)
        self.assertEvent(server, 'isolation_verify', 'Error')
        server = self.guests.wait_fault(
            server, 'isolation.svirt.not_enforcing'
        )


class PermissiveTypeTest(SelinuxTestCase):
    """A type that is permissive by itself, on a host that enforces."""

    def setUp(self) -> None:
        super().setUp()
        self.flavor_of_type = self.flavor(_OF_TYPE)
        self.wait_explained(self.flavor_of_type, f'{self.HOST}: accepted')

    def test_is_not_given_to_guests(self) -> None:
        usual = self.use(recipe.PERMISSIVE_POLICY)
        self.assertEqual('Enforcing', self.on_host('getenforce'))
        self.wait_explained(
            self.flavor_of_type,
            'found only svirt_t [isolation.svirt.type_not_allowed]',
        )
        server = self.boot_flavor(self.flavor_of_type, host=self.HOST)
        self.assertNoValidHost(server)
        # The other type is still accepted.
        self.assertExplained(self.flavor(_SELINUX), f'{self.HOST}: accepted')
        self.load(usual)
        self.wait_explained(self.flavor_of_type, f'{self.HOST}: accepted')


class DomainTest(SelinuxTestCase):
    """Programs in a domain of nova-compute's own."""

    SHARED: ClassVar = (_SELINUX,)

    def setUp(self) -> None:
        super().setUp()
        self.on_host(
            'sh', '-c',
            f'echo secret >{_SECRET} && chmod 400 {_SECRET} && '
            f'chown {nova_account.USER} {_SECRET}',
        )  # fmt: skip
        self.addCleanup(self.on_host, 'rm', _SECRET)

    def answers(self) -> dict[str, str]:
        """The answers to the questions of a program in that domain."""
        (server,) = self.shared
        daemon = self.host.pids / 'driver.pid'
        result = self.host.run(
            self.cloud.supervisor,
            [
                'systemd-run',
                '--quiet',
                '--collect',
                '--pipe',
                '--wait',
                f'--property=SELinuxContext={recipe.DOMAIN}',
                f'--property=CapabilityBoundingSet={_CAPABILITIES}',
                recipe.VENV / 'bin' / 'python',
                '-c',
                _QUESTIONS.read_text(),
                str(self.guests.qemu_pid(server)),
                self.host.pids / f'{server.instance_name}.pid',
                'svirt_t',
                daemon,
                self.on_host('cat', daemon),
                _SECRET,
            ],
            _ANSWER_SECONDS,
        )
        self.assertEqual(0, result.returncode, result.stderr)
        lines = result.stdout.splitlines()
        return dict(line.split(' ', 1) for line in lines)

    def test_the_policy_module(self) -> None:
        (server,) = self.shared
        usual = self.use(recipe.UNASSISTED_POLICY)
        refused = self.answers()
        for question, answer in refused.items():
            self.assertIn(answer, _REFUSALS, question)
        self.load(usual)
        answers = self.answers()
        self.assertEqual(refused.keys(), answers.keys())
        for question, answer in answers.items():
            self.assertNotIn(answer, _REFUSALS, question)
        self.assertIn(self.guests.label(server), answers['label'])
        self.assertIn(':virtd_t:', answers['daemon_label'])
        self.assertIn('secret', answers['secret'])
        self.assertEqual('9', answers['end'])
        # QEMU has told all its types, here and in libvirt's root folder.
        self.assertGreater(int(answers['emulator']), 100, answers)
        self.assertEqual(answers['emulator'], answers['emulator_there'])
