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

import sys
import types
from unittest import mock

from nova_isolation.virt.xen import hypervisor
from tests.unit import base

RUNNING, PAUSED, SHUTOFF = 1, 3, 5
NO_DOMAIN, BUSY = 42, 68


class Error(Exception):
    """As libvirt.libvirtError."""

    def __init__(self, code):
        super().__init__(code)
        self.get_error_code = lambda: code


class IsKeptTest(base.TestCase):
    def setUp(self):
        super().setUp()
        libvirt = types.SimpleNamespace(
            libvirtError=Error,
            VIR_DOMAIN_SHUTOFF=SHUTOFF,
            VIR_ERR_NO_DOMAIN=NO_DOMAIN,
        )
        patch = mock.patch.dict(sys.modules, {'libvirt': libvirt})
        patch.start()
        self.addCleanup(patch.stop)
        host = mock.Mock()
        self.lookup = host.get_connection.return_value.lookupByUUIDString
        self.hypervisor = hypervisor.XenHypervisor(
            host,
            mock.Mock(),
            types.SimpleNamespace(measure_timeout=10, process_root='/proc'),
        )

    def test_by_what_libvirt_says(self):
        for active, state, expected in (
            (1, SHUTOFF, True),
            (0, SHUTOFF, False),
            (1, RUNNING, False),
            (1, PAUSED, False),
        ):
            domain = self.lookup.return_value
            domain.isActive.return_value = active
            domain.info.return_value = [state]
            self.assertIs(expected, self.hypervisor.is_kept('a'))
        self.lookup.assert_called_with('a')

    def test_there_is_no_domain(self):
        self.lookup.side_effect = Error(NO_DOMAIN)
        self.assertIs(False, self.hypervisor.is_kept('a'))

    def test_libvirt_does_not_say(self):
        self.lookup.side_effect = Error(BUSY)
        self.assertRaises(Error, self.hypervisor.is_kept, 'a')
