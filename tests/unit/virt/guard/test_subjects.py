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

"""What a statement about a guest is about."""

import hashlib
import logging
from unittest import mock

import fixtures

from nova_isolation.host import bounded_calls
from nova_isolation.virt.guard import subjects
from tests.unit import base
from tests.unit import fakes as unit_fakes
from tests.unit.virt import fakes


class SubjectsTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.hypervisor = fakes.Hypervisor()
        self.subjects = subjects.Subjects(
            self.hypervisor, bounded_calls.BoundedCalls(30.0)
        )
        self.guest = unit_fakes.Guest()

    def test_run_and_xml(self):
        found = self.subjects.of(self.guest)
        xml = self.guest.domain_xml().encode()
        self.assertEqual(
            (
                self.guest.uuid,
                self.hypervisor.boot(self.guest),
                hashlib.sha256(xml).hexdigest(),
            ),
            (found.uuid, found.boot, found.domain),
        )

    def test_what_ails_all_guests_is_said_once(self):
        levels = []
        for error in (OSError, OSError, ValueError, None, ValueError):
            log = self.useFixture(fixtures.FakeLogger(level=logging.WARNING))
            with mock.patch.object(
                self.hypervisor,
                'boot',
                side_effect=error and error('away'),
                return_value='5d' * 16,
            ):
                found = self.subjects.of(self.guest)
            self.assertEqual(error is None, found is not None)
            levels.append('There is no statement' in log.output)
        self.assertEqual([True, False, True, False, True], levels)
