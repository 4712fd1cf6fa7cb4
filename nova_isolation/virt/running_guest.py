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

"""A started guest, as the mechanisms verify it."""

import functools
import time
import typing

from nova_isolation.mechanisms import base
from nova_isolation.probes import program
from nova_isolation.virt import qemu_process

#: How often, and with how many seconds between, another guest is looked at
#: that is just starting or ending.
_TRIES = 20
_PAUSE = 0.1


class RunningGuest(base.Guest):
    """Answers from libvirt and the kernel; see the base class."""

    def __init__(
        self, domain: typing.Any, host: typing.Any, run_dir: str
    ) -> None:
        """:param domain: libvirt's domain, through Nova's connection
            proxy
        :param host: Nova's Host
        :param run_dir: where libvirt keeps the pid files
        """
        self._domain = domain
        self._host = host
        self._run_dir = run_dir

    @functools.cached_property
    def _process(self) -> qemu_process.QemuProcess:
        return qemu_process.QemuProcess.find(
            self._run_dir, self.name, self.uuid
        )

    @functools.cached_property
    def uuid(self) -> str:
        """See the base class."""
        return str(self._domain.UUIDString())

    @functools.cached_property
    def name(self) -> str:
        """See the base class."""
        return str(self._domain.name())

    def domain_xml(self) -> str:
        """See the base class."""
        return str(self._domain.XMLDesc(0))

    def security_label(self) -> tuple[str, bool]:
        """See the base class."""
        label, enforced = self._domain.securityLabel()
        return str(label), bool(enforced)

    def process_label(self) -> str:
        """See the base class."""
        return self._process.label()

    def other_process_labels(self) -> dict[str, str]:
        """See the base class."""
        labels = {}
        for domain in self._host.list_instance_domains(only_running=True):
            if domain.UUIDString() != self.uuid:
                label = self._label_of(domain)
                if label is not None:
                    labels[domain.name()] = label
        return labels

    def _label_of(self, domain: typing.Any) -> str | None:
        """The label of a guest's process; None: the guest has ended.

        A guest that is just starting is active before it has a process, one
        that is ending after it had one; both are waited for.

        :raises OSError, ValueError: it runs and cannot be read, so it might
            have any label
        """
        for _ in range(_TRIES):
            try:
                return qemu_process.QemuProcess.find(
                    self._run_dir, domain.name(), domain.UUIDString()
                ).label()
            except (OSError, ValueError) as error:
                failure = error
            if not _is_active(domain):
                return None
            time.sleep(_PAUSE)
        raise failure

    def seccomp(self) -> int:
        """See the base class."""
        return self._process.seccomp()

    def executable(self) -> program.Identity:
        """See the base class."""
        return self._process.executable()


def _is_active(domain: typing.Any) -> bool:
    """Whether a domain runs; one that is gone does not."""
    import libvirt

    try:
        return bool(domain.isActive())
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return False
        raise
