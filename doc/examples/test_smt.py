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

"""The contract suite, for the example mechanism."""

import unittest

import smt

from nova_isolation.testing import fakes
from nova_isolation.testing import mechanism_contract

ACTIVE = '/sys/devices/system/cpu/smt/active'


class SmtContractTest(mechanism_contract.MechanismContract, unittest.TestCase):
    """Everything that holds for every mechanism."""

    mechanism_class = smt.SmtMechanism
    # One case for each extra spec, and for each value that is listed.
    cases = (
        mechanism_contract.Case(
            specs={'isolation:smt': 'off'},
            # Hosts that meet the extra specs.
            good=[fakes.FakeHost({ACTIVE: '0'})],
            # Hosts that do not, with the reason code that each one gets,
            # without the "isolation." at its beginning.
            bad=[('smt.active', fakes.FakeHost({ACTIVE: '1'}))],
            # Started guests as wanted.
            guests=[fakes.FakeGuest()],
            # Started guests that are not as wanted, with the reason code.
            # Nothing in a guest shows whether SMT is off.
            wrong=[],
        ),
    )
    # Facts from the network that must be refused, beside the usual ones.
    malformed = ({'off': None}, {'off': 'true'}, {'off': 1})


class MeasureTest(unittest.TestCase):
    """What the contract cannot know: how this mechanism measures."""

    def test_nonsense_is_not_a_fact(self) -> None:
        host = fakes.FakeHost({ACTIVE: 'nonsense'})
        host.declare(smt.SmtMechanism)
        with self.assertRaisesRegex(ValueError, "found 'nonsense'"):
            smt.SmtMechanism().measure(host)
