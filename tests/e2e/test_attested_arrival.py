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

"""Arrivals of live migrations of guests whose host must be attested."""

from nova_isolation.mechanisms.attested import reason_codes as attested_reasons
from tests.e2e import arrivals
from tests.e2e import attested
from tests.e2e import base
from tests.e2e import test_arrival

_SPECS = {**test_arrival.SPECS, **attested.LAUNCHED}


class ArrivalTest(test_arrival.TestCase, attested.TestCase):
    """cpu-plain is attested when the migration begins."""

    def test_attested_all_the_time(self) -> None:
        server = self.boot_here(_SPECS)
        self.migrate(server).raise_for_status()
        self.assertRuns(server, at_arrival=True)

    def test_trust_is_lost_while_the_memory_is_copied(self) -> None:
        server = self.copying(_SPECS)
        self.lose_trust(base.PLAIN)
        self.speed(server, arrivals.FAST)
        self.assertRefused(server, attested_reasons.FAILED.code)
