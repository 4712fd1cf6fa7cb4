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


"""What a measured launch of the Xen machine would extend into its TPM.

tboot extends digests of the hypervisor's file, of its command line, and of the
modules that it boots: dom0's kernel and initramfs. The policy of FLASK is a
part of the hypervisor's file.
"""

import hashlib
from pathlib import Path

from lab.xen import image as images
from lab.xen import recipe


def text(
    files: images.Image, command_line: str = recipe.HYPERVISOR_COMMAND_LINE
) -> str:
    """The text that stands for a launch; see lab.keylime.tpm.

    :param command_line: that of the hypervisor
    """
    return ' '.join(
        [
            _digest(files.hypervisor),
            hashlib.sha256(command_line.encode()).hexdigest(),
            _digest(files.kernel),
            hashlib.sha256(recipe.KERNEL_COMMAND_LINE.encode()).hexdigest(),
            _digest(files.initramfs),
        ]
    )


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
