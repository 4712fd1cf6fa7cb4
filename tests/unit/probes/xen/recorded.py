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

"""What the program answered on a real host: Xen 4.17.5, Debian 12 in dom0."""

import json

FLASK = 'system_u:system_r:'
PV = '11111111-2222-4333-8444-000000000001'
QEMU = '11111111-2222-4333-8444-000000000002'

#: Two paused guests: one whose disk the kernel of dom0 serves, and one whose
#: disk a QEMU serves. It was asked about the second.
ANSWER = {
    'hypervisor': {
        'version': '4.17',
        'flask': 'enforcing',
        'seqno': 1,
        'build_id': '26d61fe97be591fb7c1c324efbf74dd481cd4124',
        'command_line': (
            'placeholder flask=enforcing spec-ctrl=eager-fpu console=com1 '
            'com1=115200,8n1 dom0_mem=1536M,max:1536M loglvl=all '
            'guest_loglvl=all noreboot'
        ),
    },
    'labels': [
        {
            'asked': FLASK + 'isolated_domU_t',
            'canonical': FLASK + 'isolated_domU_t',
            'creatable': True,
        },
        {'asked': FLASK + 'nosuch_t', 'canonical': None, 'creatable': False},
    ],
    'accesses': [
        {
            'source': FLASK + 'drvdom_t',
            'target': FLASK + 'isolated_domU_t',
            'known': True,
            'channel': 14,
            'bound': 1,
            'grant': 39,
        },
        {
            'source': FLASK + 'isolated_domU_t',
            'target': FLASK + 'isolated_domU_t',
            'known': True,
            'channel': 14,
            'bound': 0,
            'grant': 0,
        },
    ],
    'around': [],
    'domains': [
        {
            'id': 0,
            'uuid': '00000000-0000-0000-0000-000000000000',
            'label': FLASK + 'dom0_t',
            'paused': False,
            'dying': False,
            'hvm': False,
        },
        {
            'id': 2,
            'uuid': PV,
            'label': FLASK + 'isolated_domU_t',
            'paused': True,
            'dying': False,
            'hvm': False,
        },
        {
            'id': 3,
            'uuid': QEMU,
            'label': FLASK + 'domU_t',
            'paused': True,
            'dying': False,
            'hvm': False,
        },
    ],
    'devices': [
        {
            'kind': 'console',
            'name': '0',
            'backend': 0,
            'driver': 'console',
            'state': 1,
        },
        {
            'kind': 'vbd',
            'name': '51712',
            'backend': 0,
            'driver': 'qdisk',
            'state': 2,
        },
    ],
    'has_model': True,
}

TEXT = json.dumps(ANSWER)
