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
"""nova-isolation-attestd: a daemon between the verifiers and the cloud.

The daemon asks the verifiers which hosts are attested, and answers schedulers
and compute services, so that only the daemon needs the key that the verifiers
accept. The daemon needs neither Nova nor the configuration of Nova.
"""

from collections.abc import Callable

from oslo_config import cfg

from nova_isolation.cmd import daemon_command

_PROGRAM = daemon_command.Program(
    'nova-isolation-attestd', '/etc/nova-isolation/attestd.conf', 'attestd'
)


def main(arguments: list[str] | None = None) -> int:
    """Run the daemon.

    :param arguments: instead of those of the command line
    :returns: 0 after SIGTERM or SIGINT; 2 if the daemon cannot work as
        configured
    """
    conf = cfg.ConfigOpts()

    def load() -> Callable[[], None]:
        from nova_isolation.attestd import daemon

        return lambda: daemon.Daemon(conf).run()

    return daemon_command.run(_PROGRAM, conf, arguments, load)
