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

"""A cloud of any size, as the API of the service describes it."""

from nova_isolation.mechanisms import registry

#: What a host, a flavor or a guest may be called.
SCRIPT = '<script>document.title = "owned"</script>'

_KEYS = ('hypervisor', 'svirt', 'svirt_type', 'qemu_hardening')
_HARDENING = ('bindnow', 'canary', 'fortify', 'nx', 'pie', 'relro')


def host(number):
    """One host. Of ten hosts one is stale, one is another kind, and so on."""
    kind = number % 10
    name = f'compute-{number:04d}'
    one = {
        'host': name,
        'uuid': f'00000000-0000-4000-8000-{number:012d}',
        'cell': f'cell{number % 3 + 1}',
        'state': 'disabled' if kind == 7 else '',
        'guarded': kind != 9,
        'mode': 'audit' if kind == 6 else 'enforce',
        'schema': 1,
        'measured_at': '2026-11-26T12:00:00+00:00',
        'age_seconds': 4000 if kind == 8 else 20 + kind,
        'fresh': kind != 8,
        'traits': ['CUSTOM_ISOLATION_SVIRT_SELINUX'],
        'offers': {
            'isolation:hypervisor': ['kvm'],
            'isolation:svirt': ['any', 'selinux'],
            'isolation:svirt_type': ['svirt_t'],
            'isolation:qemu_hardening': list(_HARDENING),
            'isolation:qemu_sandbox': ['true'],
            'isolation:qemu_absent': ['floppy', 'cirrus', 'e1000', 'vmware'],
            'isolation:certification': ['CAPP', 'LSPP'],
            'isolation:attested': ['true'],
        },
        'refuses': {},
        'attestation': {'standing': 'good', 'age_seconds': 12},
        'violations': [],
        'facts': {'v': 1, 'hypervisor': {'type': 'kvm'}},
    }
    if kind in (3, 4):
        del one['offers']['isolation:svirt_type']
        one['offers']['isolation:svirt'] = ['any', 'apparmor']
        _refuse(one, 'svirt_type', 'svirt_t', 'isolation.svirt.no_model')
    if kind == 5:
        del one['offers']['isolation:qemu_hardening'][1:]
        _refuse(one, 'qemu_hardening', 'nx,pie', 'isolation.qemu.not_hardened')
        del one['offers']['isolation:attested']
        _refuse(one, 'attested', 'true', 'isolation.attested.failed')
        one['attestation'] = {'standing': 'failed', 'age_seconds': 700}
    if kind == 8:
        for key in list(one['offers']):
            _refuse(one, key[10:], 'x', 'isolation.facts.stale')
        one['offers'] = {}
    if kind == 9:
        one.update(mode=None, measured_at=None, age_seconds=None, fresh=False)
        one.update(offers={}, attestation=None, facts={}, traits=[])
    if number % 100 == 2:
        one['violations'] = [
            {
                'server': f'10000000-0000-4000-8000-{number:012d}',
                'code': 'isolation.svirt.wrong_label',
                'since': '2026-11-26T11:58:00+00:00',
            }
        ]
    return one


def _refuse(one, key, value, code):
    one['refuses'][f'isolation:{key}'] = {
        'value': value,
        'code': code,
        'wanted': value,
        'found': 'apparmor' if key == 'svirt_type' else 'nothing of it',
        'remedy': registry.get().reasons[code].remedy,
    }


def hosts(count):
    """That many hosts."""
    return [host(number) for number in range(1, count + 1)]


def flavors(count):
    """Three flavors: one runs somewhere, one nowhere, one is misspelt."""
    return [
        {
            'id': '1',
            'name': 'm1.confined',
            'extra_specs': {
                'isolation:svirt': 'selinux',
                'isolation:qemu_hardening': 'pie,nx,relro,bindnow',
            },
            'near_misses': {},
            'hosts': count,
            'accepted': count // 2,
            'usable': count // 2 - count // 10,
            'by_code': {
                'isolation.svirt.no_model': count // 5,
                'isolation.facts.stale': count // 10,
            },
        },
        {
            'id': '2',
            'name': 'm1.attested',
            'extra_specs': {'isolation:attested': 'true'},
            'near_misses': {},
            'hosts': count,
            'accepted': 0,
            'usable': 0,
            'by_code': {'isolation.attested.unknown_host': count},
        },
        {
            'id': '3',
            'name': 'm1.typo',
            'extra_specs': {},
            'near_misses': {'isolatiom:svirt': 'isolation:svirt'},
            'hosts': count,
            'accepted': count,
            'usable': count,
            'by_code': {},
        },
    ]


def explanation(count):
    """What the hosts say to ``m1.confined``."""
    answers = []
    for number in range(1, count + 1):
        kind = number % 10
        unmet = []
        if kind in (3, 4):
            unmet.append(
                {
                    'code': 'isolation.svirt.no_model',
                    'requirement': 'isolation:svirt',
                    'wanted': 'selinux',
                    'found': 'only apparmor',
                    'remedy': 'Boot a kernel with that security module.',
                }
            )
        answers.append(
            {
                'host': f'compute-{number:04d}',
                'state': 'disabled' if kind == 7 else '',
                'accepted': not unmet,
                'usable': not unmet and kind != 7,
                'unmet': unmet,
            }
        )
    refused = sum(not answer['accepted'] for answer in answers)
    return {
        'flavor': 'm1.confined',
        'mode': 'enforce',
        'extra_specs': {'isolation:svirt': 'selinux'},
        'near_misses': {},
        'usable': True,
        'counts': {
            'hosts': count,
            'accepted': count - refused,
            'usable': sum(answer['usable'] for answer in answers),
            'refused': refused,
            'by_code': {'isolation.svirt.no_model': refused},
        },
        'hosts': answers,
    }


def server(number):
    """One server. Of five servers one failed and one was not read back."""
    kind = number % 5
    unmet = [
        {
            'requirement': 'isolation:svirt',
            'code': 'isolation.svirt.wrong_label',
            'wanted': 'a label of selinux',
            'found': 'unconfined_t',
            'remedy': "Compare the label with libvirt's log of the guest.",
        }
    ]
    return {
        'id': f'10000000-0000-4000-8000-{number:012d}',
        'name': f'web-{number}',
        'project_id': '0123456789abcdef0123456789abcdef',
        'host': f'compute-{number:04d}',
        'vm_state': 'active',
        'flavor': 'm1.confined',
        'extra_specs': {'isolation:svirt': 'selinux'},
        'asked': ['isolation:svirt=selinux'],
        'verifications': [
            {
                'event': 'isolation_verify',
                'result': 'Success',
                'at': '2026-11-26T10:00:00+00:00',
                'request_id': 'req-1',
            }
        ],
        'read_back': None
        if kind == 3
        else {
            'at': '2026-11-26T12:00:00+00:00',
            'verified': kind != 2,
            'proofs': []
            if kind == 2
            else [
                {
                    'requirement': 'isolation:svirt',
                    'read': 'system_u:system_r:svirt_t:s0:c1,c2',
                }
            ],
            'unmet': unmet if kind == 2 else [],
        },
        'host_standing': 'violated' if kind == 2 else 'good',
    }


def servers(count):
    """That many servers."""
    return [server(number) for number in range(1, count + 1)]


def audit(count):
    """What an audit finds."""
    return {
        'checked': {'hosts': count, 'flavors': 3, 'servers': 50},
        'findings': [
            {
                'code': 'isolation.audit.flavor_typing_error',
                'severity': 'warning',
                'subject': {'type': 'flavor', 'id': '3', 'name': 'm1.typo'},
                'detail': 'isolatiom:svirt is no extra spec of isolation.',
                'remedy': 'Unset it and set isolation:svirt.',
            },
            {
                'code': 'isolation.audit.violation',
                'severity': 'error',
                'subject': {
                    'type': 'server',
                    'id': '10000000-0000-4000-8000-000000000002',
                    'name': 'web-2',
                },
                'detail': 'The guest violates isolation:svirt.',
                'remedy': 'Hard reboot it, or migrate it away.',
            },
            {
                'code': 'isolation.audit.host_stale',
                'severity': 'warning',
                'subject': {
                    'type': 'host',
                    'id': 'compute-0008',
                    'name': 'compute-0008',
                },
                'detail': 'The facts of the host are 4000 s old.',
                'remedy': 'Look whether nova-compute runs there.',
            },
        ],
    }
