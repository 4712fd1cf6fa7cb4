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

"""The TPM of a compute host, by swtpm, and simulated measurements."""

from collections.abc import Iterable
import dataclasses
import hashlib
from pathlib import Path
import shutil
import socket
import struct

from lab.config import site as sites
from lab.run import errors
from lab.run import layout as layouts
from lab.run import ports as port_blocks
from lab.run import supervisor as supervisors

#: The register into which the launch of a hypervisor is measured.
LAUNCH = 17
#: The value of that register before a launch, and of PCR 18 after it.
NEVER_LAUNCHED = 'ff' * 32
ZERO = '00' * 32
_SECONDS = 300
#: The locality of what a launch has started. PCR 17 and 18 take nothing from
#: an operating system, which has locality 0 (TCG PC Client Platform TPM
#: Profile, "PCR Attributes").
_LOADER, _SYSTEM = 2, 0
#: TPM 2.0 Library, Part 2: TPM_ST_SESSIONS, TPM_CC_PCR_Extend, TPM_RS_PW,
#: TPM_ALG_SHA256; the response codes TPM_RC_SUCCESS and TPM_RC_LOCALITY; the
#: header of commands and responses, with the size of the whole and the code.
_SESSIONS, _EXTEND, _PASSWORD, _SHA256 = 0x8002, 0x182, 0x40000009, 0xB
_SUCCESS, _BAD_LOCALITY = 0, 0x907
_HEADER = struct.Struct('>HII')
#: How often a step is tried that the tools of the agent may disturb, which use
#: the TPM meanwhile.
_TRIES = 10


@dataclasses.dataclass(frozen=True)
class Tpm:
    """The TPM of the ``index``-th host of a lab."""

    site: sites.Site
    host: str
    index: int

    @property
    def daemon(self) -> str:
        """The name of the TPM's process."""
        return f'tpm-{self.host}'

    @property
    def tcti(self) -> str:
        """The address of the TPM in the format of TPM tools."""
        port, _ = self.site.ports.tpm(self.index)
        return f'swtpm:host={sites.LOCALHOST},port={port}'

    def make(self, supervisor: supervisors.Supervisor) -> None:
        """Manufacture the TPM: an endorsement key with its certificate.

        Two TPMs must not be made at once: they share the files of the
        manufacturer.
        """
        self._state.mkdir(parents=True)
        folder = _manufacturer(self.site.layout)
        folder.mkdir(exist_ok=True)
        options = layouts.write(folder / 'options', '')
        authority = layouts.write(
            folder / 'authority.conf',
            f'statedir = {folder}\n'
            f'signingkey = {folder}/signkey.pem\n'
            f'issuercert = {folder}/issuercert.pem\n'
            f'certserial = {folder}/certserial\n',
        )
        configuration = layouts.write(
            folder / 'setup.conf',
            'create_certs_tool = /usr/bin/swtpm_localca\n'
            f'create_certs_tool_config = {authority}\n'
            f'create_certs_tool_options = {options}\n'
            'active_pcr_banks = sha256\n',
        )
        supervisor.run(
            f'{self.daemon}-setup',
            [
                'swtpm_setup',
                '--tpm2',
                '--tpmstate',
                self._state,
                '--create-ek-cert',
                '--config',
                configuration,
                '--runas',
                'root',
            ],
            _SECONDS,
        )
        trusted = trusted_manufacturers(self.site.layout)
        trusted.mkdir(exist_ok=True)
        shutil.copy(folder / 'issuercert.pem', trusted)

    def start(self, supervisor: supervisors.Supervisor) -> None:
        """Power the TPM on, without a launch."""
        port, control = self.site.ports.tpm(self.index)
        daemon = supervisor.start(
            self.daemon,
            [
                'swtpm',
                'socket',
                '--tpm2',
                '--tpmstate',
                f'dir={self._state}',
                '--server',
                f'type=tcp,port={port},bindaddr={sites.LOCALHOST}',
                '--ctrl',
                f'type=tcp,port={control},bindaddr={sites.LOCALHOST}',
                '--flags',
                'not-need-init,startup-clear',
            ],
        )
        supervisor.wait(
            self.daemon,
            lambda: port_blocks.listening(control),
            _SECONDS,
            daemon,
        )

    def stop(self, supervisor: supervisors.Supervisor) -> None:
        """Power the TPM off, as an operating system does when it shuts down.

        Otherwise the TPM reports an unsafe clock for some seconds after it
        is powered on, and a verifier refuses its quotes.
        """
        self._check(supervisor, 'tpm2_shutdown', '--clear')
        supervisor.stop([self.daemon], 5)

    def launch(self, supervisor: supervisors.Supervisor, text: str) -> None:
        """Simulate a measured launch: TPM_HASH_START at locality 4.

        :param text: stands for the hypervisor
        :raises LabError: when the register has another value afterwards
        """
        _, control = self.site.ports.tpm(self.index)
        before = self.read(supervisor)
        for _ in range(_TRIES):
            self._check(
                supervisor,
                'swtpm_ioctl',
                '--tcp',
                f'{sites.LOCALHOST}:{control}',
                '-h',
                text,
            )
            found = self.read(supervisor)
            if found == measured(text):
                return
            if found != before:
                break
            # A command of the host's agent has come between the parts of the
            # sequence, which the TPM then drops. Before a launch nobody asks.
        raise errors.LabError(
            f'PCR {LAUNCH} of {self.host} is {found} after the launch of '
            f'"{text}", not {measured(text)}'
        )

    def extend(
        self,
        supervisor: supervisors.Supervisor,
        pcr: int,
        digests: Iterable[bytes],
    ) -> None:
        """Extend a register, as what a launch has started does.

        The tools of TPMs set the locality of an operating system at the
        beginning of each command; so the command is written here.

        :param digests: SHA-256, in order
        :raises LabError: when the TPM refuses
        """
        port, control = self.site.ports.tpm(self.index)
        with socket.create_connection(
            (sites.LOCALHOST, port), _SECONDS
        ) as connection:
            for digest in digests:
                command = _extend(pcr, digest)
                for _ in range(_TRIES):
                    self._set_locality(supervisor, control, _LOADER)
                    code = _answer(connection, command)
                    if code != _BAD_LOCALITY:
                        break
                self._set_locality(supervisor, control, _SYSTEM)
                if code != _SUCCESS:
                    raise errors.LabError(
                        f'the TPM of {self.host} does not extend PCR {pcr}: '
                        f'response code {code:#x}'
                    )

    def _set_locality(
        self, supervisor: supervisors.Supervisor, control: int, locality: int
    ) -> None:
        self._check(
            supervisor,
            'swtpm_ioctl',
            '--tcp',
            f'{sites.LOCALHOST}:{control}',
            '-l',
            str(locality),
        )

    def read(
        self, supervisor: supervisors.Supervisor, pcr: int = LAUNCH
    ) -> str:
        """The value of a register, in lower-case hexadecimal digits."""
        output = self._check(supervisor, 'tpm2_pcrread', f'sha256:{pcr}')
        return output.split('0x')[-1].strip().lower()

    @property
    def _state(self) -> Path:
        return self.site.layout.data / 'tpm' / self.host

    def _check(self, supervisor: supervisors.Supervisor, *command: str) -> str:
        result = supervisor.output(
            command, _SECONDS, environment={'TPM2TOOLS_TCTI': self.tcti}
        )
        if result.returncode:
            raise errors.LabError(f'{" ".join(command)}: {result.stderr}')
        return result.stdout


def measured(text: str) -> str:
    """The value of PCR 17 after the launch of what ``text`` stands for.

    TPM 2.0 Library, Part 1, "D-RTM": H(0 || H(data)).
    """
    data = hashlib.sha256(text.encode()).digest()
    return hashlib.sha256(bytes(32) + data).hexdigest()


def extended(value: str, digests: Iterable[bytes]) -> str:
    """The value of a register after it is extended, in order.

    TPM 2.0 Library, Part 1, "Extend of a PCR": H(old || digest).

    :param value: what it had before, in hexadecimal digits
    """
    found = bytes.fromhex(value)
    for digest in digests:
        found = hashlib.sha256(found + digest).digest()
    return found.hex()


def _answer(connection: socket.socket, command: bytes) -> int:
    """The response code of a command."""
    connection.sendall(command)
    header = connection.recv(_HEADER.size, socket.MSG_WAITALL)
    _, size, code = _HEADER.unpack(header)
    connection.recv(size - _HEADER.size, socket.MSG_WAITALL)
    return int(code)


def _extend(pcr: int, digest: bytes) -> bytes:
    """The command TPM2_PCR_Extend, with an empty password."""
    authorization = struct.pack('>IHBH', _PASSWORD, 0, 0, 0)
    body = (
        struct.pack('>II', pcr, len(authorization))
        + authorization
        + struct.pack('>IH', 1, _SHA256)
        + digest
    )
    size = _HEADER.size + len(body)
    return _HEADER.pack(_SESSIONS, size, _EXTEND) + body


def trusted_manufacturers(layout: layouts.Layout) -> Path:
    """The folder of the certificates of trusted TPM manufacturers."""
    return layout.data / 'tpm' / 'trusted'


def _manufacturer(layout: layouts.Layout) -> Path:
    return layout.data / 'tpm' / 'manufacturer'
