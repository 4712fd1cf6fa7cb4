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

"""The options of the plugin.

A test cannot know what the hosts of a cloud offer, so the options say it. The
tests hold the cloud to what they say.
"""

from collections.abc import Iterable

from oslo_config import cfg

_EXTRA_SPECS = 'Each line is KEY=VALUE; the option may be given several times.'

_ISOLATION = cfg.OptGroup('isolation', title='Isolation of guests')
_ISOLATION_OPTIONS = [
    cfg.MultiStrOpt(
        'offered_extra_specs',
        default=['isolation:qemu_hardening=pie'],
        help='Extra specs that enough hosts offer for a guest to be moved '
        f'from one to another. {_EXTRA_SPECS}',
    ),
    cfg.MultiStrOpt(
        'partial_extra_specs',
        default=[],
        help='Extra specs that some compute hosts of the cloud offer and '
        'others do not. While there are none, the tests of where a guest '
        f'lands are skipped. {_EXTRA_SPECS}',
    ),
    cfg.ListOpt(
        'partial_hosts',
        default=[],
        help='The compute hosts that offer partial_extra_specs, by the name '
        'of their compute service.',
    ),
    cfg.MultiStrOpt(
        'refused_extra_specs',
        default=['isolation:certification=TEMPEST_OFFERED_NOWHERE'],
        help='Valid extra specs that no host of the cloud offers. '
        f'{_EXTRA_SPECS}',
    ),
    cfg.MultiStrOpt(
        'forced_extra_specs',
        default=['isolation:hypervisor=qemu,xen'],
        help='Valid extra specs that no host of the cloud offers and for '
        'which no trait of placement stands, so that a compute host has to '
        'refuse a guest that an admin forces onto it. The default is right '
        f'where the hosts have KVM. {_EXTRA_SPECS}',
    ),
    cfg.StrOpt(
        'forced_reason_code',
        default='isolation.hypervisor.other',
        help='The reason code with which a host refuses forced_extra_specs.',
    ),
    cfg.StrOpt(
        'networks',
        default='none',
        choices=['none', 'auto'],
        help='Whether the guests get a port of the network of their project. '
        'With "auto" a test also checks that a refused guest leaves none.',
    ),
]

_WHITEBOX = cfg.OptGroup(
    'isolation_whitebox', title='Isolation of guests, seen on their hosts'
)
_WHITEBOX_OPTIONS = [
    cfg.DictOpt(
        'hosts',
        default={},
        help='The compute hosts to log in to by ssh: the name of the compute '
        'service, and the address, for example "cpu1:192.0.2.1". While '
        'there are none, the tests on the hosts are skipped.',
    ),
    cfg.StrOpt('user', default='root', help='The user to log in as.'),
    cfg.PortOpt('port', default=22, help='The port of ssh.'),
    cfg.StrOpt('key', help='The path of the private key.'),
    cfg.StrOpt(
        'become',
        default='',
        help='What to put before each command so that root runs it, for '
        'example "sudo -n".',
    ),
    cfg.StrOpt(
        'virsh',
        default='virsh -q -c qemu:///system',
        help='How to call virsh on the hosts; it may be in a container.',
    ),
    cfg.StrOpt(
        'pid_folder',
        default='/run/libvirt/qemu',
        help='Where libvirt writes NAME.pid for each guest.',
    ),
    cfg.MultiStrOpt(
        'extra_specs',
        default=['isolation:svirt=selinux', 'isolation:qemu_sandbox=true'],
        help='Extra specs that these hosts offer, with isolation:svirt among '
        f'them. {_EXTRA_SPECS}',
    ),
    cfg.IntOpt(
        'command_timeout',
        default=60,
        min=1,
        help='How many seconds a command on a host may take.',
    ),
]

#: The groups and their options.
OPTIONS = {_ISOLATION: _ISOLATION_OPTIONS, _WHITEBOX: _WHITEBOX_OPTIONS}


def extra_specs(lines: Iterable[str]) -> dict[str, str]:
    """Return the extra specs that an option says.

    :param lines: each KEY=VALUE
    :raises ValueError: one of them is not
    """
    found = {}
    for line in lines:
        key, equals, value = line.partition('=')
        if not equals or not key or not value:
            raise ValueError(f'{line!r} is not KEY=VALUE')
        found[key] = value
    return found
