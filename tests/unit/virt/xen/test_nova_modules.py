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

"""What is added to modules of Nova, and that QEMU sees none of it.

In processes of their own: a change of Nova's modules stays.
"""

import subprocess
import sys

from tests.unit import base

_XEN = """
import nova.conf
from nova import exception
from nova.virt.libvirt import blockinfo, vif
from nova_isolation.virt.xen import nova_modules
from tests.unit.virt.xen import images

CONF = nova.conf.CONF
for _ in range(2):
    nova_modules.prepare()
    assert CONF.libvirt.virt_type == 'xen'
    plain, image = images.instance(), images.image()
    bus = blockinfo.get_disk_bus_for_device_type
    assert bus(plain, 'xen', image) == 'xen'
    assert bus(plain, 'xen', image, 'cdrom') == 'xen'
    assert bus(plain, 'xen', image, 'floppy') is None
    assert bus(plain, 'kvm', image) == 'virtio'
    assert bus(plain, 'kvm', image, 'cdrom') == 'ide'
    try:
        bus(plain, 'vmware', image)
    except exception.UnsupportedVirtType:
        pass
    else:
        raise AssertionError
    info = blockinfo.get_info_from_bdm(plain, 'xen', image, {})
    assert (info['bus'], info['dev']) == ('xen', 'xvda'), info
    assert blockinfo.get_dev_prefix_for_disk_bus('virtio') == 'vd'
    assert blockinfo.get_disk_bus_for_disk_dev('xen', 'xvdb') == 'xen'
    assert blockinfo.get_disk_bus_for_disk_dev('xen', 'hdc') == 'ide'
    for virt_type in ('kvm', 'qemu'):
        try:
            blockinfo.get_disk_bus_for_disk_dev(virt_type, 'xvdb')
        except exception.InternalError:
            pass
        else:
            raise AssertionError
    assert vif.is_vif_model_valid_for_virt('xen', 'netfront')
    assert not vif.is_vif_model_valid_for_virt('xen', 'virtio')
    assert not vif.is_vif_model_valid_for_virt('kvm', 'netfront')
"""
_QEMU = """
import sys
import nova.virt.isolation
from nova.virt.libvirt import blockinfo, vif
assert nova.virt.isolation.IsolationDriver
assert 'nova_isolation.virt.driver' in sys.modules
assert not [one for one in sys.modules if 'nova_isolation.virt.xen' in one]
assert 'xen' not in vif.SUPPORTED_VIF_MODELS
try:
    nova.virt.isolation.IsolationZenDriver
except AttributeError as error:
    assert 'IsolationZenDriver' in str(error)
else:
    raise AssertionError
xen = nova.virt.isolation.IsolationXenDriver
assert xen.__module__ == 'nova_isolation.virt.xen.driver'
# Not before the driver is made.
assert 'xen' not in vif.SUPPORTED_VIF_MODELS
assert not hasattr(blockinfo.get_disk_bus_for_device_type, 'plain')
"""


class ModulesTest(base.TestCase):
    def runs(self, script):
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', script],
            capture_output=True,
            text=True,
            timeout=120,
        )
        self.assertEqual(0, done.returncode, done.stderr)

    def test_xen(self):
        self.runs(_XEN)

    def test_qemu_host_imports_nothing_of_xen(self):
        self.runs(_QEMU)
