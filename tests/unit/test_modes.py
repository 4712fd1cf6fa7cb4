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

import ddt

from tests.unit import base
from tests.unit import modes


@ddt.ddt
class EventletTest(base.TestCase):
    """Each of these has a limit of time, or a thread of its own."""

    @ddt.data(
        'tests.unit.https.test_https_client.DeadlineTest',
        'tests.unit.https.test_https_client.RetryTest',
    )
    def test_limits_hold(self, name):
        modes.run_tests('eventlet', name)
