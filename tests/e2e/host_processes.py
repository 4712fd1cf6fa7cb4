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

"""The processes of compute hosts in namespaces, as root sees them."""

from pathlib import Path

from lab.daemons import nova
from lab.run import processes
from nova_isolation.host import privileged
from tests.e2e import base


def status(pid: int, name: str) -> list[str]:
    """The words of a line of /proc/PID/status."""
    text = Path(f'/proc/{pid}/status').read_text(encoding='utf-8')
    lines = dict(line.split(':', 1) for line in text.splitlines())
    return lines[name].split()


class TestCase(base.TestCase):
    """Looks at the processes of a host."""

    def compute(self, host: str) -> int:
        """The process id of a host's nova-compute."""
        daemons = self.cloud.supervisor.daemons()
        return daemons[nova.compute_name(host)].pid

    def helpers(self, host: str) -> list[int]:
        """The process ids of the privileged helpers of this project."""
        namespace = Path(f'/proc/{self.compute(host)}/ns/mnt').readlink()
        return [
            pid
            for pid, command in processes.belonging(self.cloud.layout).items()
            if privileged.context.pypath in command
            and 'python' in command.split()[0]
            and Path(f'/proc/{pid}/ns/mnt').readlink() == namespace
        ]
