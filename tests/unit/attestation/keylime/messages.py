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

"""Messages of a Keylime verifier to a webhook."""

import json

AGENT = 'd432fbb3-d2f1-4a97-9ef7-75bd81c00000'


def message(agent=AGENT, type_='revocation', **fields):
    """The body of a verifier's POST, as Keylime 7.14 makes it."""
    return json.dumps(
        {
            'msg': json.dumps(
                {
                    'type': type_,
                    'ip': '127.0.0.1',
                    'agent_id': agent,
                    'port': 9002,
                    'tpm_policy': '{"17": ["ab"], "mask": "0x20000"}',
                    'meta_data': '{}',
                    'event_time': 'Sun Nov 22 12:00:00 2026',
                    'event_id': 'pcr_validation.invalid_pcr_17',
                    'severity_label': 'CRITICAL',
                    'context': {'message': 'PCR value is not in allowlist'},
                    **fields,
                }
            ),
            'signature': '',
        }
    )
