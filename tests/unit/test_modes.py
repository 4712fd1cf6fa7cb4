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

"""The tests of what waits, in a process that eventlet has patched.

nova-compute of Nova 31 to 33 is such a process, and nova-scheduler of 31 and
32. The same tests run with native threads where they are defined.
"""

import re

import ddt

from tests.unit import base
from tests.unit import modes

# A green thread measures how much processor time passes between two of its
# turns while others work.
_HELD_UP = """
import json, sys, time
import eventlet
from nova_isolation.attestation import snapshot
from nova_isolation.attestation.keylime import verifier_api
from nova_isolation.https import https_client
from nova_isolation.probes import elf

def tick():
    global last, longest
    while True:
        now = time.process_time()
        last, longest = now, max(longest, now - last)
        eventlet.sleep(0)

def beside(what, function):
    global last, longest
    found = []
    # Three times, because caches and interrupts cost processor time too.
    for _ in range(3):
        last, longest = time.process_time(), 0
        function()
        eventlet.sleep(0.01)
        found.append(longest)
    print(f'{what}: {min(found) * 1000:.0f} ms')

status = {
    'operational_state': 3, 'attestation_status': 'PASS',
    'attestation_count': 5, 'last_received_quote': 1.9e9,
    'last_successful_attestation': 1.9e9, 'last_event_id': None,
    'tpm_policy': json.dumps({str(i): ['a' * 64] for i in range(8)}),
    'has_mb_refstate': 1, 'has_runtime_policy': 1, 'v': 'x' * 40,
    'meta_data': '', 'rest': 'y' * 400,
}
agents = json.dumps({'results': {
    f'd432fbb3-d2f1-4a97-9ef7-{i:012}': status for i in range(10000)
}}).encode()

class Client:
    def get(self, url, timeout=None):
        versions = {'results': {'supported_versions': ['2.6']}}
        body = json.dumps(versions).encode() if 'version' in url else agents
        return https_client.Answer(200, {}, body, 1.9e9)

def poll():
    verifier.start()
    verifier.wait(time.monotonic() + 60)

verifier = verifier_api.Verifier('https://v', Client(), 60)
known = snapshot.Snapshot('host', {
    f'h{i}': snapshot.Verdict('{}', 1.9e9, 1.9e9, f'a{i}', 'v')
    for i in range(10000)
})
text = snapshot.dumps(known)
last = longest = 0
eventlet.spawn(tick)
beside('poll of a verifier', poll)
assert len(verifier.report().agents) == 10000, verifier.report()
beside('read a snapshot', lambda: snapshot.loads(text))
beside('check a snapshot', lambda: snapshot.check(known))
beside('read a program', lambda: elf.hardening(sys.executable))
"""


@ddt.ddt
class EventletTest(base.TestCase):
    """Each of these has a limit of time, or a thread of its own."""

    @ddt.data(
        'tests.unit.https.test_https_client.DeadlineTest',
        'tests.unit.https.test_https_client.RetryTest',
        'tests.unit.attester.test_outbox.OutboxTest',
        'tests.unit.host.test_privileged_helper.HelperTest',
        'tests.unit.host.test_self_examination.SelfExaminationTest',
    )
    def test_limits_hold(self, name):
        modes.run_tests('eventlet', name)

    def test_hub_is_not_held_up(self):
        """No work of ours takes 50 ms of processor time at a stretch.

        Processor time, because others use this machine too.
        """
        output = modes.run('eventlet', _HELD_UP)
        for gap in re.findall(r': (\d+) ms$', output, re.M):
            self.assertLess(int(gap), 50, output)
        self.assertEqual(4, output.count(' ms\n'), output)
