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

"""A read that hangs, in a process that eventlet has patched."""

from tests.unit import base
from tests.unit import modes

_HANGS = """
import os, tempfile, time

os.environ['OS_NOVA_DISABLE_EVENTLET_PATCHING'] = 'no'
from nova import monkey_patch
if hasattr(monkey_patch, 'patch'):
    # In newer releases, Nova's services call it.
    monkey_patch.patch()
import nova.conf
from nova_isolation.host import bounded_calls
from nova_isolation.host import privileged
from nova_isolation.probes import native_thread
from nova_isolation.virt.releases import native_threads

native_threads.set_up()
assert native_thread.call(int, '5') == 5
path = os.path.join(tempfile.mkdtemp(), 'pipe')
os.mkfifo(path)
begin = time.monotonic()
try:
    bounded_calls.BoundedCalls(0.5).call('pipe', lambda: privileged.read(path))
except TimeoutError as error:
    print(error)
assert time.monotonic() - begin < 60
print('it goes on', flush=True)
# The thread that hangs must not hold up the end of this process.
os._exit(0)
"""


class NativeThreadsTest(base.TestCase):
    def test_a_read_that_hangs_stops_nobody_else(self):
        output = modes.run('eventlet', _HANGS)
        self.assertIn('pipe: no answer in 0.5 s\nit goes on', output)
