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

"""What the driver does not do is refused before anything is touched."""

import inspect

from nova import exception

from nova_isolation.virt.xen import refusals
from tests.unit import base

#: Method -> the error by which Nova tells the user.
REFUSED = {
    'check_can_live_migrate_destination': exception.MigrationPreCheckError,
    'check_can_live_migrate_source': exception.MigrationPreCheckError,
    'swap_volume': exception.VolumeRebaseFailed,
    'extend_volume': exception.ExtendVolumeNotSupported,
    'volume_snapshot_create': exception.NovaException,
    'volume_snapshot_delete': exception.NovaException,
}


class RefusalsTest(base.TestCase):
    def test_refused(self):
        # Nothing is set up: whatever is touched fails in another way.
        driver = refusals.RefusingDriver.__new__(refusals.RefusingDriver)
        for name, error in REFUSED.items():
            method = getattr(driver, name)
            arguments = [None for _ in inspect.signature(method).parameters]
            self.assertRaises(error, method, *arguments)

    def test_all_of_them(self):
        self.assertEqual(
            set(REFUSED),
            {
                name
                for name, member in vars(refusals.RefusingDriver).items()
                if inspect.isfunction(member)
            },
        )
