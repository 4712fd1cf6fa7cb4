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

"""nova-compute on a host with Xen: SELinux confines it and its helpers."""

import re
from typing import Any

from lab.guests import xen_specs
from lab.machine import recipe
from lab.xen import recipe as xen_recipe
from tests.e2e import xen

_SERVICE, _HELPER = 'nova_compute_t', 'nova_helper_t'
#: What both domains may write to.
_OUT = recipe.STATE / 'confined.out'
#: Programs that enter the domains: the first as systemd starts the service,
#: the second as the service starts sudo. They run as root, so that nothing but
#: SELinux refuses.
_PROGRAMS = {
    _SERVICE: ('/usr/local/bin/lab-confined', 'nova_compute_exec_t'),
    _HELPER: ('/usr/local/bin/lab-confined-helper', 'sudo_exec_t'),
}
#: $1 is the file for the answers.
_BOTH = rf"""#!/bin/bash
out=$1
say() {{
    if said=$(set -o pipefail; "${{@:2}}" 2>&1 </dev/null | tr -d '\0')
    then echo "$1 allowed $said" >>"$out"
    else echo "$1 refused" >>"$out"
    fi
}}
say domain cat /proc/self/attr/current
say user id -u
say configuration head -c 0 {recipe.CONFIGURATION}/rootwrap.conf
say setenforce bash -c 'echo 0 >/sys/fs/selinux/enforce'
say xl-setenforce {xen_recipe.PROGRAMS}/xl setenforce 0
say selinux-config bash -c 'echo SELINUX=disabled >>/etc/selinux/config'
say selinux-policy bash -c 'echo >>/etc/selinux/default/policy/policy.33'
say load_policy load_policy
say load-by-hand bash -c 'cat /etc/selinux/default/policy/policy.33 \
    >/sys/fs/selinux/load'
say relabel chcon -t bin_t "$out"
say relabel-itself chcon -t bin_t "$0"
say passwords cat /etc/shadow
say unit bash -c 'echo >/etc/systemd/system/lab-confined.service'
"""
#: The helper has the hypercalls and no network, the service the opposite.
_OF = {
    _SERVICE: f"""
say hypercalls bash -c 'exec 3<>/dev/xen/privcmd'
say xenstore xenstore-ls /local
{_PROGRAMS[_HELPER][0]} "$out.helper"
""",
    _HELPER: """
say hypercalls bash -c 'exec 3<>/dev/xen/privcmd'
say network bash -c 'exec 3<>/dev/tcp/127.0.0.1/22'
""",
}
_COMMON = {
    'user': 'allowed 0',
    'configuration': 'allowed',
    **dict.fromkeys(
        (
            'setenforce',
            'xl-setenforce',
            'selinux-config',
            'selinux-policy',
            'load_policy',
            'load-by-hand',
            'relabel',
            'relabel-itself',
            'passwords',
            'unit',
        ),
        'refused',
    ),
}


class ConfinedTest(xen.TestCase):
    """The service that runs, and programs that run as it does."""

    def types(self, pattern: str) -> set[str]:
        """The types of the processes with such a command line."""
        lines = self.ssh.check(['ps', '-eo', 'label=,args=']).splitlines()
        return {
            line.split(':')[2] for line in lines if re.search(pattern, line)
        }

    def test_the_service_and_its_helpers(self) -> None:
        # A guest needs a helper of Nova's own, beside that which measures.
        server = self.boot_flavor(self.flavor(xen_specs.ALL))
        self.assertActive(server, xen.HOST)
        for pattern, wanted in (
            # Not the program that started it.
            (f'python3 {recipe.VENV}/bin/nova-compute', _SERVICE),
            ('--privsep_context nova_isolation\\.', _HELPER),
            ('--privsep_context nova\\.', _HELPER),
        ):
            self.assertEqual({wanted}, self.types(pattern), pattern)

    def run_confined(self) -> dict[str, dict[str, str]]:
        """What programs in the domains may do: domain -> what -> answer."""
        for type_, (path, label) in _PROGRAMS.items():
            self.addCleanup(self.ssh.check, ['rm', '-f', path])
            self.ssh.check(
                ['sh', '-c', f'cat >{path}; chmod 755 {path}'],
                text=_BOTH + _OF[type_],
            )
            self.ssh.check(['chcon', '-t', label, path])
        files = {_SERVICE: _OUT, _HELPER: _OUT.with_suffix('.out.helper')}
        self.addCleanup(self.ssh.check, ['rm', '-f', *files.values()])
        # The folder is another user's: they may write to files in it, and make
        # none, as root without the right to pass over that.
        self.ssh.check(['rm', '-f', *files.values()])
        self.ssh.check(['touch', *files.values()])
        self.ssh.run(
            [
                'systemd-run',
                '--quiet',
                '--collect',
                '--wait',
                _PROGRAMS[_SERVICE][0],
                _OUT,
            ],
            self.boot_seconds,
        )
        answers: dict[str, Any] = {}
        for type_, file in files.items():
            lines = self.ssh.check(['cat', file]).splitlines()
            answers[type_] = {
                what: answer.strip()
                for what, _, answer in (line.partition(' ') for line in lines)
            }
        return answers

    def test_what_they_may_not_do(self) -> None:
        found = self.run_confined()
        self.assertEqual(
            {
                _SERVICE: {
                    **_COMMON,
                    'domain': f'allowed system_u:system_r:{_SERVICE}:s0',
                    'hypercalls': 'refused',
                    'xenstore': 'refused',
                },
                _HELPER: {
                    **_COMMON,
                    'domain': f'allowed system_u:system_r:{_HELPER}:s0',
                    'hypercalls': 'allowed',
                    'network': 'refused',
                },
            },
            found,
        )
        self.assertEqual('Enforcing', self.ssh.check(['getenforce']).strip())
        # The exit status of "xl getenforce" is the mode.
        mode = self.ssh.run(['xl', 'getenforce']).stdout
        self.assertEqual('Enforcing', mode.strip())
        # It was SELinux that refused.
        denials = self.ssh.check(['cat', '/var/log/audit/audit.log'])
        for type_, enforce in (
            # It may write questions into the files of SELinux.
            (_SERVICE, r'\{ setenforce \}'),
            (_HELPER, r'\{ write \}.* name="enforce"'),
        ):
            for what in (enforce, r'\{ execute \}.* name="xl"'):
                self.assertRegex(
                    denials,
                    f'denied  {what}.*scontext=system_u:system_r:{type_}:',
                )
