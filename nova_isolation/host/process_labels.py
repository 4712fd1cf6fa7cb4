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

"""The process labels of all running guests of the host, each read once."""

import functools
import time
import typing

from nova_isolation.host import bounded_calls
from nova_isolation.host import qemu_process

#: The number of attempts to read the label of a guest that is starting or
#: ending, and the seconds between two attempts.
_TRIES = 20
_PAUSE = 0.1


class ProcessLabels:
    """The labels of the guests that ran at the first call.

    A new object is made for each verification of the host. Guests that are
    verified together share one object; otherwise each guest would read the
    labels of all other guests.

    A later look can take over what an earlier one has read. The label of a
    process stays as it is, so only the guests that were started since then
    are read.
    """

    def __init__(
        self,
        libvirt_host: typing.Any,
        run_dir: str,
        proc: str,
        calls: bounded_calls.BoundedCalls,
        before: 'ProcessLabels | None' = None,
    ) -> None:
        """:param libvirt_host: Nova's Host
        :param run_dir: the folder of libvirt's pid files
        :param proc: where the processes are seen, ``[isolation] process_root``
        :param calls: limits the time of reading one guest's label
        :param before: an earlier look at the same host; None: all is read
        """
        self._libvirt = libvirt_host
        self._run_dir = run_dir
        self._proc = proc
        self._calls = calls
        #: UUID and id of a guest's run -> its label; None: it has ended
        self._labels: dict[tuple[str, int], str | Exception | None] = {}
        if before is not None:
            self._labels |= {
                run: label
                for run, label in before._labels.items()
                if isinstance(label, str)
            }

    def others(self, uuid: str) -> dict[str, str]:
        """Return domain name -> process label, of every other running guest.

        :param uuid: the UUID of the domain that is compared with the others
        :raises OSError, ValueError: the label of a running guest cannot be
            read, so that guest might have any label
        """
        labels = {}
        for other, run, name, domain in self._domains:
            if other == uuid:
                continue
            if (other, run) not in self._labels:
                self._labels[other, run] = self._bounded(domain, other)
            label = self._labels[other, run]
            if isinstance(label, Exception):
                raise label
            if label is not None:
                labels[name] = label
        return labels

    @functools.cached_property
    def _domains(self) -> list[tuple[str, int, str, typing.Any]]:
        """UUID, run, name, domain; each guest is compared with all others."""
        return [
            (
                str(domain.UUIDString()),
                int(domain.ID()),
                str(domain.name()),
                domain,
            )
            for domain in self._libvirt.list_instance_domains(
                only_running=True
            )
        ]

    def _bounded(
        self, domain: typing.Any, uuid: str
    ) -> str | Exception | None:
        """Return the label of a guest's process; None: the guest has ended.

        The kernel may not answer for a process that hangs. Such a guest must
        not cost the other guests their proofs, so libvirt's label of the
        process counts then. libvirt reads it without the command line, which
        is what hangs.
        """
        try:
            return self._calls.call(
                ('process label', uuid), lambda: self._read(domain)
            )
        except TimeoutError:
            pass
        try:
            return self._calls.call(
                ('security label', uuid),
                lambda: str(domain.securityLabel()[0]),
            )
        except Exception as error:
            return error

    def _read(self, domain: typing.Any) -> str | Exception | None:
        """Return the label of a guest's process; None: the guest has ended.

        libvirt reports a guest as active shortly before its process starts
        and shortly after its process has ended. In both cases this method
        waits.
        """
        failure: Exception | None = None
        for _ in range(_TRIES):
            try:
                return qemu_process.QemuProcess.find(
                    self._run_dir,
                    domain.name(),
                    domain.UUIDString(),
                    self._proc,
                ).label()
            except (OSError, ValueError) as error:
                failure = error
            if not _is_active(domain):
                return None
            time.sleep(_PAUSE)
        return failure


def _is_active(domain: typing.Any) -> bool:
    """Return whether a domain runs; False where the domain does not exist."""
    import libvirt

    try:
        return bool(domain.isActive())
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return False
        raise
