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

"""The compute host, from libvirt, the kernel and the emulator."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import shlex
import time
import typing

from nova_isolation.host import guest_template
from nova_isolation.host import libvirt_root
from nova_isolation.host import privileged
from nova_isolation.host import self_examination
from nova_isolation.mechanisms import base
from nova_isolation.mechanisms import sources
from nova_isolation.model import evidence
from nova_isolation.model import reasons
from nova_isolation.model import sight
from nova_isolation.probes import apparmor
from nova_isolation.probes import emulator
from nova_isolation.probes import libvirt_xml
from nova_isolation.probes import native_thread
from nova_isolation.probes import program
from nova_isolation.probes import selinux

#: Seconds for which a result of examining the emulator is kept, also where
#: the examination failed. A binary that was moved may find modules in a folder
#: that it does not name.
_KEEP = 60.0

#: How often the emulator is examined again because it turned out to run
#: another file, or to look for modules in other folders, than those that were
#: watched meanwhile.
_ROUNDS = 4


@dataclasses.dataclass(frozen=True)
class _KeptEmulator:
    """A kept result of measuring the emulator.

    :ivar key: the fingerprint of the files on which the result depends, from
        before the measurement
    :ivar others: the files and folders that the key covers, beside what
        libvirt starts
    :ivar result: the measured emulator, or the error of the measurement
    :ivar until: the time after which the result no longer counts, by the
        monotonic clock
    """

    key: object
    others: tuple[str, ...]
    result: program.Emulator | Exception
    until: float


@dataclasses.dataclass(frozen=True)
class _Answers:
    """What libvirt has answered on one connection.

    :ivar connection: libvirt's connection; None: there was none yet
    :ivar texts: question -> answer
    """

    connection: typing.Any
    texts: dict[str, str] = dataclasses.field(default_factory=dict)


class ComputeHost(sources.Host):
    """Answers from the real host; see the base class for each method.

    Expensive answers are kept while they cannot have changed: those of
    libvirt for the life of a connection (libvirtd reads its configuration when
    it starts), the emulator while its files keep their identity. All other
    answers are read each time.
    """

    def __init__(
        self,
        libvirt_host: typing.Any,
        conf: typing.Any,
        virt_type: str,
        third_party: Callable[[], Mapping[str, evidence.Evidence]],
        xen: sources.Xen | None = None,
    ) -> None:
        """:param libvirt_host: Nova's Host; all libvirt calls go through the
            connection of this object, which may be a proxy
        :param conf: the configuration, with the options of this project
            registered (:func:`nova_isolation.opts.register`)
        :param virt_type: ``[libvirt] virt_type``
        :param third_party: returns name of a mechanism -> what a third party
            reports about this host now
        :param xen: the hypervisor where it is Xen; None: another one
        """
        self._xen = xen
        self._third_party = third_party
        self._libvirt = libvirt_host
        self._conf = conf
        self._virt_type = virt_type
        self._answers = _Answers(None)
        self._emulator: _KeptEmulator | None = None
        self._self = self_examination.SelfExamination(
            conf.isolation.qemu_run_dir,
            conf.isolation.process_root,
            conf.isolation.probe_timeout,
        )
        privileged.set_limits(
            conf.isolation.measure_timeout, conf.isolation.probe_timeout
        )

    def options(self, mechanism: str) -> typing.Any:
        """See the base class."""
        return self._conf[base.option_group(mechanism)]

    def read(self, path: str) -> str:
        """See the base class."""
        if path == apparmor.TEMPLATE:
            root = libvirt_root.find(self._conf.isolation)
            return guest_template.read(root)
        return privileged.read(self._seen(path))

    def ask(self, path: str, question: str) -> str:
        """See the base class."""
        return native_thread.call(selinux.ask, self._seen(path), question)

    def _seen(self, path: str) -> str:
        """Return where nova-compute sees a file of the host."""
        below = path.removeprefix(f'{selinux.FS}/')
        if below == path:
            return path
        return f'{self._conf.isolation.selinuxfs}/{below}'

    def capabilities(self) -> str:
        """See the base class."""
        return self._libvirt_answer(
            'capabilities', lambda connection: connection.getCapabilities()
        )

    def domain_capabilities(self) -> str:
        """See the base class."""
        return self._libvirt_answer(
            'domain capabilities',
            lambda connection: connection.getDomainCapabilities(
                None, None, None, self._virt_type, 0
            ),
        )

    def emulator_arguments(self) -> tuple[str, ...]:
        """See the base class."""
        domain = libvirt_xml.plain_domain(self.domain_capabilities())
        return _arguments(
            self._libvirt_answer(
                'command line',
                lambda connection: connection.domainXMLToNative(
                    'qemu-argv', domain, 0
                ),
            )
        )

    def evidence(self, mechanism: str) -> evidence.Evidence | None:
        """See the base class."""
        return self._third_party().get(mechanism)

    def emulator(self) -> program.Emulator:
        """See the base class."""
        if self._xen is None:
            path = libvirt_xml.emulator(self.domain_capabilities())
        else:
            # libvirt names a file that libxl does not start.
            path = str(self._conf.isolation.xen_device_model)
        # The attribute is read once and replaced in one step: two threads may
        # both examine the binary, and neither sees half a result.
        kept = self._emulator
        others = (path,) if kept is None else kept.others
        root = libvirt_root.find(self._conf.isolation)
        try:
            key = libvirt_root.fingerprint(root, path, others)
        except (FileNotFoundError, PermissionError) as error:
            raise sight.Unseen(reasons.EMULATOR_UNSEEN, str(error)) from error
        if kept is None or kept.key != key or kept.until < time.monotonic():
            kept = self._examine(root, path, others)
            self._emulator = kept
        if isinstance(kept.result, Exception):
            raise OSError(f'{path} cannot be examined: {kept.result}')
        return kept.result

    def unseen(self) -> Mapping[sight.Sight, reasons.Reason]:
        """See the base class."""
        return self._self.examine()

    def xen(self) -> sources.Xen | None:
        """See the base class."""
        return self._xen

    def _examine(
        self, root: str, path: str, others: tuple[str, ...]
    ) -> _KeptEmulator:
        """Examine the emulator until the fingerprint covers all that counts.

        What it starts and where it looks for modules is known only then.
        """
        timeout = self._conf.isolation.probe_timeout
        for _ in range(_ROUNDS):
            key = libvirt_root.fingerprint(root, path, others)
            until = time.monotonic() + _KEEP
            try:
                result = libvirt_root.examine(
                    '' if _is_ours(key, path, others) else root, path, timeout
                )
            except (OSError, ValueError) as error:
                return _KeptEmulator(key, others, error, until)
            if result.others == others:
                return _KeptEmulator(key, others, result, until)
            others = result.others
        failure = OSError(
            "libvirt's <emulator> runs ever other files or looks for its "
            'modules in ever other folders; let it start one QEMU'
        )
        key = libvirt_root.fingerprint(root, path, others)
        return _KeptEmulator(key, others, failure, until)

    def _libvirt_answer(
        self, question: str, ask: Callable[[typing.Any], str]
    ) -> str:
        """Return an answer of libvirt, which is kept with the connection."""
        import libvirt

        try:
            connection = self._libvirt.get_connection()
            answers = self._answers
            if answers.connection is not connection:
                # One attribute: two threads may both ask, and no answer of
                # another connection counts.
                self._answers = answers = _Answers(connection)
            if question not in answers.texts:
                answers.texts[question] = str(ask(connection))
        except libvirt.libvirtError as error:
            raise OSError(f'libvirt: {question}: {error}') from error
        return answers.texts[question]


# It hardly ever changes, and shlex is slow.
@functools.lru_cache(maxsize=4)
def _arguments(line: str) -> tuple[str, ...]:
    """Return the arguments of a command line of libvirt's.

    libvirt quotes it for a shell.
    """
    return tuple(shlex.split(line))


def _is_ours(
    key: program.Fingerprint, path: str, others: Sequence[str]
) -> bool:
    """Return whether this process sees the same files as libvirt.

    Then it runs the emulator itself, without any privilege.
    """
    try:
        return emulator.fingerprint(path, others) == key
    except OSError:
        return False
