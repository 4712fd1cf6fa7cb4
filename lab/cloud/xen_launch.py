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

Intel's tboot hashes each module that it boots together with the module's
command line: the first one, which is the hypervisor, with the policy of FLASK
in its file, then dom0's kernel and its initramfs. With ``pcr_map=da`` it
extends PCR 17 by all of them and PCR 18 by the first (tboot 1.10.5, README,
"PCR Usage", with its default policy). The values here are those of the real
files; the chipset, SINIT and tboot itself are not there: one text stands for
what they measure, and swtpm is told of it as a chipset would tell a TPM.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import hashlib
from pathlib import Path

from lab.keylime import attestation as attestations
from lab.keylime import tenant as tenants
from lab.keylime import tpm
from lab.run import errors
from lab.xen import image as images
from lab.xen import recipe

#: The registers of a launch.
DETAILS, AUTHORITIES = 17, 18
#: Stands for SINIT's measurements, and for tboot with its policy.
_LOADER = 'SINIT and tboot'


class Launch:
    """A launch of the machine."""

    def __init__(
        self,
        files: images.Image,
        command_line: str = recipe.HYPERVISOR_COMMAND_LINE,
    ) -> None:
        """Hash what it boots.

        :param command_line: that of the hypervisor
        """
        first = _module(command_line, files.hypervisor)
        self._extended: Mapping[int, Sequence[bytes]] = {
            DETAILS: [
                first,
                _module(recipe.KERNEL_COMMAND_LINE, files.kernel),
                _module('', files.initramfs),
            ],
            AUTHORITIES: [first],
        }

    @property
    def policy(self) -> tenants.Policy:
        """The values that the registers have after it."""
        before = {DETAILS: tpm.measured(_LOADER), AUTHORITIES: tpm.ZERO}
        return {
            pcr: [tpm.extended(before[pcr], digests)]
            for pcr, digests in self._extended.items()
        }

    def simulate(
        self, attestation: attestations.Attestation, host: str
    ) -> None:
        """Tell a host's TPM of it.

        :raises LabError: when a register has another value afterwards
        """
        attestation.launch(host, _LOADER)
        for pcr, digests in self._extended.items():
            attestation.extend(host, pcr, digests)
            found, (wanted,) = attestation.pcr(host, pcr), self.policy[pcr]
            if found != wanted:
                raise errors.LabError(
                    f'PCR {pcr} of {host} is {found} after the launch, '
                    f'not {wanted}'
                )


def _module(command_line: str, path: Path) -> bytes:
    """What tboot makes of a module: H(H(command line) || H(file))."""
    command, file = (
        hashlib.sha256(data).digest()
        for data in (command_line.encode(), path.read_bytes())
    )
    return hashlib.sha256(command + file).digest()
