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


import lzma
import unittest

from lab.run import errors
from lab.xen import guest


class UnpackedTest(unittest.TestCase):
    def test_a_kernel_after_other_bytes(self) -> None:
        kernel = b'\x7fELF of a kernel'
        # What looks like the start of an archive comes first.
        packed = b'boot \xfd7zXZ\0 sector' + lzma.compress(kernel) + b'end'
        self.assertEqual(kernel, guest.unpacked(packed))

    def test_no_kernel(self) -> None:
        for packed in (b'', b'text', lzma.compress(b'no kernel')):
            with self.assertRaisesRegex(errors.LabError, 'no kernel'):
                guest.unpacked(packed)
