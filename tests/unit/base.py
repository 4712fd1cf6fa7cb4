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

"""What the unit tests share."""

import re
import unittest

import hypothesis
from oslotest import base

from nova_isolation.mechanisms import registry
from nova_isolation.model import facts

# Two cores that others use too: no deadline for one example. No database of
# failures, which would be one more folder in the checkout.
hypothesis.settings.register_profile(
    'unit',
    deadline=None,
    database=None,
    max_examples=100,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile('unit')

FRESH = facts.Freshness()


class TestCase(base.BaseTestCase):
    """A test; what it prints or logs is shown only if it fails."""

    def assertRaises(self, error, *args, **kwargs):
        """Also as a context manager, which testtools 2.7, that of Nova 31 and
        32, does not have.
        """
        if not args:
            return unittest.TestCase.assertRaises(self, error)
        return super().assertRaises(error, *args, **kwargs)

    def assertHelpful(self, unmet, known=None):
        """Each unmet requirement says all, with a code that has a remedy."""
        for item in unmet:
            reason = (known or registry.get().reasons)[item.code]
            self.assertTrue(reason.meaning and reason.remedy)
            self.assertTrue(item.wanted and item.found, item)
            self.assertIn(item.wanted, str(item))
            self.assertIn(item.found, str(item))
            self.assertIn(item.code, str(item))

    def assertCodes(self, codes, unmet, known=None):
        """What is unmet has exactly these codes, each with a remedy."""
        self.assertHelpful(unmet, known)
        self.assertEqual(
            sorted(f'isolation.{code}' for code in codes),
            sorted({item.code for item in unmet}),
        )

    def assertRaisesText(self, error, pattern, function, *args):
        """As assertRaisesRegex, which testtools shadows."""
        raised = self.assertRaises(error, function, *args)
        self.assertTrue(
            re.search(pattern, str(raised)), f'{pattern!r} not in {raised}'
        )
