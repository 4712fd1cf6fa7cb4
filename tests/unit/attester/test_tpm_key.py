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

import hashlib
from pathlib import Path
import threading

import fixtures

from nova_isolation.attester import errors
from nova_isolation.attester import key_folder
from nova_isolation.attester import tpm_key
from nova_isolation.attester import tpm_tools
from nova_isolation.evidence import envelope
from nova_isolation.evidence import errors as bad
from nova_isolation.evidence import statement
from tests.unit import base
from tests.unit.attester import swtpm
from tests.unit.evidence import samples

HANDLE, EK = '0x81020001', '0x81010001'


class Options:
    signing_key = 'tpm'
    tpm_key_handle = HANDLE
    tpm_ek_handle = EK

    def __init__(self, key_dir, tcti):
        self.key_dir = str(key_dir)
        self.tpm_tcti = tcti


class Counting(tpm_tools.Tools):
    """Says which programs were run, and lets something happen before one."""

    def __init__(self, *args):
        super().__init__(*args)
        self.ran = []
        self.before = lambda: None

    def _once(self, *command, data):
        self.ran.append(command[0])
        self.before()
        return super()._once(*command, data=data)


class TpmKeyTest(base.TestCase):
    """A key in a real TPM, of swtpm."""

    def setUp(self):
        super().setUp()
        self.tpm = self.useFixture(swtpm.Swtpm())
        self.tpm.launch('hypervisor-A')
        self.folder = Path(self.useFixture(fixtures.TempDir()).path) / 'keys'
        self.keys = key_folder.KeyFolder(Options(self.folder, self.tpm.tcti))

    def tools(self):
        return Counting(self.tpm.tcti, self.folder / 'lock')

    def seal(self):
        return envelope.seal(samples.OPERATOR, self.keys.signer())

    def test_signs(self):
        self.keys.create(False, '')
        self.assertEqual(
            samples.OPERATOR,
            envelope.open_envelope(self.seal(), [self.keys.public()]),
        )
        self.assertEqual(statement.KeyKind.TPM, self.keys.kind)

    def test_another_launch_cannot_sign(self):
        self.keys.create(False, '')
        signer = self.keys.signer()
        self.tpm.launch('hypervisor-B')
        self.assertRaises(errors.LaunchedOtherwise, signer.sign, b'x')
        # The right one can again, and nothing was changed in between.
        self.tpm.launch('hypervisor-A')
        self.seal()

    def test_a_wrong_launch_is_not_tried_again(self):
        self.keys.create(False, '')
        self.tpm.launch('hypervisor-B')
        tools = self.tools()
        key = tpm_key.TpmKey(tools, HANDLE, EK)
        self.assertRaises(errors.LaunchedOtherwise, key.sign, bytes(32))
        self.assertEqual(['tpm2_sign'], tools.ran)

    def test_a_register_is_extended_meanwhile(self):
        """As IMA does all the time: 0x128, which is tried again."""
        self.keys.create(False, '')
        tools = self.tools()
        here = Path(self.useFixture(fixtures.TempDir()).path)
        digest = here / 'digest'
        digest.write_bytes(bytes(32))
        session = here / 'session'

        def open_session():
            for command in (
                ('tpm2_startauthsession', '--policy-session'),
                ('tpm2_policypcr', '-l', 'sha256:17'),
            ):
                tools._once(*command, '-S', session, data=b'')

        def extend():
            self.tpm.run('tpm2_pcrextend', f'10:sha256={"11" * 32}')

        def sign():
            return tools._once(
                *('tpm2_sign', '-Q', '-c', HANDLE, '-g', 'sha256'),
                *('-s', 'ecdsa', '-f', 'plain', '-d', '-o', '/dev/stdout'),
                *('-p', f'session:{session}'),
                data=bytes(32),
            )

        open_session()
        extend()
        with self.assertRaises(tpm_tools.ToolError) as caught:
            sign()
        self.assertEqual({0x128}, caught.exception.codes)
        self.assertTrue(caught.exception.passes)
        self.assertFalse(caught.exception.policy_failed)
        tools.run('tpm2_flushcontext', session)

        # And so it is tried again: the first two tries meet it.
        failure = caught.exception
        left = [failure, failure]

        def before():
            if left:
                raise left.pop()

        tools.ran.clear()
        tools.before = before
        key = tpm_key.TpmKey(tools, HANDLE, EK)
        self.assertTrue(key.sign(hashlib.sha256(b'x').digest()))
        self.assertEqual(['tpm2_sign'] * 3, tools.ran)

    def test_while_registers_are_extended_all_the_time(self):
        self.keys.create(False, '')
        signer = self.keys.signer()
        ended = threading.Event()

        def extend():
            while not ended.is_set():
                self.tpm.run('tpm2_pcrextend', f'10:sha256={"11" * 32}')

        thread = threading.Thread(target=extend)
        thread.start()
        try:
            for _ in range(10):
                signer.sign(b'x')
        finally:
            ended.set()
            thread.join()

    def test_many_at_once(self):
        """More signers than the TPM has places for sessions."""
        self.keys.create(False, '')
        failed = []

        def sign():
            try:
                for _ in range(5):
                    self.keys.signer().sign(b'x')
            except errors.AttesterError as error:
                failed.append(error)

        threads = [threading.Thread(target=sign) for _ in range(6)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        self.assertEqual([], failed)

    def test_nothing_of_ours_stays_and_nothing_of_others_goes(self):
        other = self.folder.parent / 'other.ctx'
        self.tpm.run('tpm2_createprimary', '-Q', '-C', 'n', '-c', other)
        before = self.tpm.handles('transient')
        self.assertTrue(before)
        self.keys.create(False, '')
        self.seal()
        self.assertEqual(before, self.tpm.handles('transient'))
        self.assertEqual([], self.tpm.handles('loaded-session'))

    def test_others_flush_what_is_theirs_meanwhile(self):
        """As Keylime's agent does after each quote."""
        folder = self.folder.parent
        self.folder.mkdir(mode=0o700)
        self.tpm.run(
            *('tpm2_createprimary', '-Q', '-C', 'o', '-G', 'ecc256'),
            *('-c', folder / 'theirs'),
        )
        self.assertTrue(self.tpm.handles('transient'))
        tools = self.tools()

        def flush():
            if tools.ran[-1] == 'tpm2_readpublic':
                self.tpm.run('tpm2_flushcontext', '-t')

        tools.before = flush
        key = tpm_key.TpmKey(tools, HANDLE, EK)
        _, public = key.create(False, '')
        self.assertIn(b'PUBLIC KEY', public)
        self.assertEqual([], self.tpm.handles('transient'))

    def test_never_launched(self):
        other = self.useFixture(swtpm.Swtpm())
        keys = key_folder.KeyFolder(Options(self.folder, other.tcti))
        with self.assertRaises(errors.AttesterError) as caught:
            keys.create(False, '')
        self.assertIn('measured', str(caught.exception))
        self.assertRaises(errors.AttesterError, keys.public)

    def test_replace(self):
        self.keys.create(False, '')
        before, data = self.keys.public(), self.seal()
        with self.assertRaises(errors.AttesterError) as caught:
            self.keys.create(False, '')
        self.assertIn('--replace', str(caught.exception))
        self.assertEqual(before, self.keys.public())
        self.keys.create(True, '')
        after = self.keys.public()
        self.assertNotEqual(before.keyid, after.keyid)
        with self.assertRaises(bad.BadEvidence):
            envelope.open_envelope(data, [after])
        envelope.open_envelope(self.seal(), [after])

    def test_somebody_elses_key_at_the_handle(self):
        self.keys.create(False, '')
        public = (self.folder / 'public.pem').read_bytes()
        self.keys.create(True, '')
        (self.folder / 'public.pem').write_bytes(public)
        with self.assertRaises(bad.BadEvidence) as caught:
            self.seal()
        self.assertIn('evidence.signature', str(caught.exception))

    def test_owner_password(self):
        self.tpm.run('tpm2_changeauth', '-c', 'owner', 'secret')
        self.assertRaises(errors.AttesterError, self.keys.create, False, '')
        self.assertEqual([], self.tpm.handles('transient'))
        password = self.folder.parent / 'password'
        password.write_text('secret')
        self.keys.create(True, str(password))
        self.seal()

    def test_activation(self):
        self.keys.create(False, '')
        self.tpm.run(
            'tpm2_createek', '-Q', '-G', 'rsa', '-c', EK, '-u', '/dev/null'
        )
        for handle in self.tpm.handles('transient'):
            if handle != b'-':
                self.tpm.run('tpm2_flushcontext', handle)
        folder = self.folder.parent
        self.tpm.run(
            'tpm2_readpublic', '-Q', '-c', EK, '-f', 'pem', '-o', folder / 'ek'
        )
        name = hashlib.sha256(self.keys.tpm_public()[2:]).hexdigest()
        (folder / 'secret').write_bytes(b's' * 32)
        for given, right in ((name, True), ('00' * 32, False)):
            self.tpm.run(
                *('tpm2_makecredential', '-Q', '-T', 'none', '-G', 'rsa'),
                *('-u', folder / 'ek', '-s', folder / 'secret'),
                *('-n', f'000b{given}', '-o', folder / 'credential'),
            )
            credential = (folder / 'credential').read_bytes()
            if right:
                self.assertEqual(b's' * 32, self.keys.activate(credential, ''))
            else:
                self.assertRaises(
                    errors.AttesterError, self.keys.activate, credential, ''
                )
            self.assertEqual([], self.tpm.handles('loaded-session'))

    def test_a_program_that_hangs(self):
        self.folder.mkdir()
        tools = tpm_tools.Tools(self.tpm.tcti, self.folder / 'lock')
        self.useFixture(
            fixtures.MonkeyPatch(f'{tpm_tools.__name__}._SECONDS', 0.2)
        )
        with self.assertRaises(tpm_tools.ToolError) as caught:
            tools.run('sleep', '60')
        self.assertIn('0.2 s', str(caught.exception))
        self.assertFalse(caught.exception.passes)

    def test_the_lock_is_held(self):
        self.folder.mkdir()
        self.useFixture(
            fixtures.MonkeyPatch(f'{tpm_tools.__name__}._LOCK_SECONDS', 0.2)
        )
        tools = tpm_tools.Tools(self.tpm.tcti, self.folder / 'lock')
        with (
            tools.alone(),
            self.assertRaises(errors.AttesterError) as caught,
            tools.alone(),
        ):
            pass
        self.assertIn('0.2 s', str(caught.exception))
        with tools.alone():
            pass

    def test_no_tpm(self):
        self.folder.mkdir()
        tools = tpm_tools.Tools('device:/dev/none', self.folder / 'lock')
        with self.assertRaises(tpm_tools.ToolError) as caught:
            tools.run('tpm2_getcap', 'handles-transient')
        self.assertIn('/dev/none', str(caught.exception))
