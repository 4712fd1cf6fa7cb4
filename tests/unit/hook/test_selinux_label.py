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

"""Tests of nova_isolation.hook.selinux_label."""

import os
import pathlib

import fixtures

from nova_isolation.hook import selinux_label
from tests.unit import base
from tests.unit import fakes

_HOOK = pathlib.Path('/etc/libvirt/hooks/qemu.d/50-nova-isolation')
_PYTHON = pathlib.Path('/opt/nova/bin/python')
_INIT = 'system_u:system_r:init_t:s0'
_VIRTD = 'system_u:system_r:virtd_t:s0'
_QEMUD = 'system_u:system_r:virtqemud_t:s0'
_LIBVIRTD = pathlib.Path('/usr/sbin/libvirtd')
_VIRTQEMUD = pathlib.Path('/usr/sbin/virtqemud')
_NUMBERS = {
    'process': {'transition': 2},
    'file': {
        'read': 2,
        'execute': 14,
        'execute_no_trans': 18,
        'entrypoint': 19,
    },
}
_FS = '/sys/fs/selinux'


def _file(type_):
    return f'system_u:object_r:{type_}:s0'


class Host:
    """A host with a policy, as selinuxfs tells it."""

    def __init__(self, *rules, policy='bin_t', daemons=(_LIBVIRTD,)):
        #: Each a word of sesearch(1): source, target, class, permission.
        self.rules = {tuple(rule.split()) for rule in rules}
        self.transitions = {
            (_INIT, _file('virtd_exec_t')): _VIRTD,
            (_INIT, _file('virtqemud_exec_t')): _QEMUD,
        }
        self.policy = _file(policy)
        self.files = {path: _file('bin_t') for path in selinux_label._PROGRAMS}
        self.files |= {path: _file('lib_t') for path in selinux_label._MODULES}
        self.files[_PYTHON] = _file('bin_t')
        for daemon in daemons:
            self.files[daemon] = _file(
                f'{daemon.name.replace("lib", "")}_exec_t'
            )
        self.texts = {
            f'{_FS}/enforce': '1',
            '/proc/1/attr/current': _INIT + '\0',
        }
        for number, (kind, bits) in enumerate(_NUMBERS.items(), 2):
            self.texts[f'{_FS}/class/{kind}/index'] = str(number)
            for name, bit in bits.items():
                self.texts[f'{_FS}/class/{kind}/perms/{name}'] = str(bit)
        self.labels = selinux_label.Labels(
            self._read, self._ask, self._label, self._wanted
        )

    def _read(self, path):
        return fakes.Host(self.texts).read(path)

    def _ask(self, path, question):
        source, target, number = question.split()
        kind = list(_NUMBERS)[int(number) - 2]
        if path == f'{_FS}/create':
            if kind != 'process':
                raise AssertionError(question)
            return self.transitions.get((source, target), source) + '\0'
        if path != f'{_FS}/access':
            raise FileNotFoundError(path)
        allowed = sum(
            1 << bit - 1
            for name, bit in _NUMBERS[kind].items()
            if (self._type(source), self._type(target), kind, name)
            in self.rules
        )
        return f'{allowed:x} ffffffff 0 ffffffff 14 0'

    @staticmethod
    def _type(context):
        return context.split(':')[2]

    def _label(self, path):
        try:
            return self.files[path]
        except KeyError:
            raise FileNotFoundError(path) from None

    def _wanted(self, path):
        if isinstance(self.policy, Exception):
            raise self.policy
        return self.policy


#: What Debian's policy gives libvirtd.
_RULES = (
    'virtd_t bin_t file execute',
    'virtd_t bin_t file execute_no_trans',
    'virtd_t lib_t file read',
)


class CheckTest(base.TestCase):
    """May libvirt run it?"""

    def refused(self, host, *words):
        for word in words:
            self.assertRaisesText(
                selinux_label.LabelError,
                word,
                host.labels.check,
                _HOOK,
                _PYTHON,
            )

    def accepted(self, host):
        host.labels.check(_HOOK, _PYTHON)

    def test_it_may(self):
        self.accepted(Host(*_RULES))

    def test_type_that_it_may_not_execute(self):
        host = Host(*_RULES, policy='virt_etc_rw_t')
        self.refused(
            host, 'virt_etc_rw_t', str(_LIBVIRTD), 'virtd_t',
            'nova_isolation.cil', f"bin_t '{_HOOK}'",
        )  # fmt: skip

    def test_every_rule_counts(self):
        for rule in _RULES:
            self.refused(
                Host(*(one for one in _RULES if one != rule)),
                'SELinux does not let',
            )

    def test_domain_of_its_own(self):
        rules = (
            'virtd_t virt_hook_t file execute',
            'virtd_t virt_hook_unconfined_t process transition',
            'virt_hook_unconfined_t virt_hook_t file entrypoint',
            'virt_hook_unconfined_t bin_t file execute',
            'virt_hook_unconfined_t bin_t file execute_no_trans',
            'virt_hook_unconfined_t lib_t file read',
        )
        for missing in (None, *rules):
            host = Host(
                *(one for one in rules if one != missing),
                policy='virt_hook_t',
            )
            host.transitions[_VIRTD, _file('virt_hook_t')] = (
                'system_u:system_r:virt_hook_unconfined_t:s0'
            )
            if missing is None:
                self.accepted(host)
            else:
                self.refused(host, 'SELinux does not let')

    def test_every_daemon_counts(self):
        both = (_LIBVIRTD, _VIRTQEMUD)
        self.refused(Host(*_RULES, daemons=both), 'virtqemud_t')
        other = (rule.replace('virtd_t', 'virtqemud_t') for rule in _RULES)
        self.accepted(Host(*_RULES, *other, daemons=both))

    def test_no_daemon(self):
        self.refused(Host(*_RULES, daemons=()), str(_LIBVIRTD))

    def test_python_and_its_modules(self):
        for path in (
            _PYTHON,
            *selinux_label._PROGRAMS,
            *selinux_label._MODULES,
        ):
            host = Host(*_RULES)
            host.files[path] = _file('user_home_t')
            self.refused(host, str(path), 'user_home_t', 'restorecon')
            del host.files[path]
            self.refused(host, str(path), 'cannot be determined')

    def test_no_selinux(self):
        host = Host()
        del host.texts[f'{_FS}/enforce']
        host.labels = selinux_label.Labels(host._read, None, None, None)
        self.assertIsNone(host.labels.wanted(_HOOK))
        self.assertTrue(host.labels.fits(_HOOK))
        self.accepted(host)

    def test_permissive_today(self):
        host = Host(policy='virt_etc_rw_t')
        host.texts[f'{_FS}/enforce'] = '0'
        self.refused(host, 'virt_etc_rw_t')

    def test_no_answer(self):
        host = Host(*_RULES)
        host.policy = OSError('no such program')
        self.refused(host, 'cannot be determined', 'no such program')
        for path in (
            '/proc/1/attr/current',
            f'{_FS}/class/file/index',
            f'{_FS}/class/process/index',
            f'{_FS}/class/file/perms/execute',
        ):
            host = Host(*_RULES)
            del host.texts[path]
            self.refused(host, 'cannot be determined')

    def test_a_container_without_selinuxfs(self):
        host = Host()
        host.texts = {
            '/proc/filesystems': 'nodev\tselinuxfs\n',
            '/proc/self/attr/current': 'system_u:system_r:spc_t:s0\0',
        }
        error = self.assertRaises(
            selinux_label.LabelError, host.labels.wanted, _HOOK
        )
        self.assertIn('/sys/fs/selinux is not mounted here', str(error))
        self.assertIn('on the host and not in a container', str(error))


class FitsTest(base.TestCase):
    """Has the file its label?"""

    def test_type(self):
        host = Host()
        for found, fits in (
            (_file('bin_t'), True),
            ('unconfined_u:object_r:bin_t:s0', True),
            (_file('virt_etc_rw_t'), False),
        ):
            host.files[_HOOK] = found
            self.assertEqual(fits, host.labels.fits(_HOOK))

    def test_no_label(self):
        self.assertRaisesText(
            selinux_label.LabelError,
            'no SELinux label',
            Host().labels.fits,
            _HOOK,
        )


class OfPolicyTest(base.TestCase):
    """libselinux is asked by its own program."""

    def program(self, text):
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        program = folder / 'matchpathcon'
        program.write_text(f'#!/bin/sh\n{text}\n')
        program.chmod(0o755)
        self.useFixture(
            fixtures.EnvironmentVariable('PATH', f'{folder}:/usr/bin:/bin')
        )

    def test_answer(self):
        self.program('printf "%s:" "$@"')
        self.assertEqual(
            f'-n:-N:-m:file:{_HOOK}:', selinux_label.of_policy(_HOOK)
        )

    def test_no_answer(self):
        for text, words in (
            ('exit 0', 'no answer'),
            ('echo "<<none>>"', '<<none>>'),
            ('echo broken >&2; echo label; exit 1', 'broken'),
        ):
            self.program(text)
            self.assertRaisesText(
                OSError, words, selinux_label.of_policy, _HOOK
            )

    def test_no_program(self):
        self.useFixture(fixtures.EnvironmentVariable('PATH', '/nowhere'))
        self.useFixture(
            fixtures.MonkeyPatch(
                'nova_isolation.hook.selinux_label._FOLDERS', ()
            )
        )
        self.assertRaisesText(
            OSError, 'selinux-utils', selinux_label.of_policy, _HOOK
        )

    def test_program_that_is_not_in_path(self):
        self.program('printf "%s:" "$@"')
        folder = os.environ['PATH'].split(':')[0]
        self.useFixture(fixtures.EnvironmentVariable('PATH', '/nowhere'))
        self.useFixture(
            fixtures.MonkeyPatch(
                'nova_isolation.hook.selinux_label._FOLDERS', (folder, '/bin')
            )
        )
        self.assertIn(str(_HOOK), selinux_label.of_policy(_HOOK))

    def test_hangs(self):
        self.program('exec sleep 60')
        self.useFixture(
            fixtures.MonkeyPatch(
                'nova_isolation.hook.selinux_label._SECONDS', 0.1
            )
        )
        self.assertRaisesText(
            OSError, 'timed out', selinux_label.of_policy, _HOOK
        )
