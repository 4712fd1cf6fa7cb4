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

"""Nova's services: conductor, scheduler and the computes."""

from pathlib import Path

from lab.config import ini
from lab.config import site as sites
from lab.daemons import rabbitmq
from lab.hosts import compute_host
from lab.run import layout as layouts
from lab.run import supervisor as supervisors

_SECONDS = 400.0
#: An emulated machine needs a minute where this one needs two seconds.
_MACHINE_SECONDS = 1800.0
API = 'nova-api'
CONDUCTOR = 'nova-conductor'
SCHEDULER = 'nova-scheduler'


def compute_name(host: str) -> str:
    """The name of a host's nova-compute among the daemons."""
    return f'nova-compute-{host}'


def queue(daemon: str) -> str:
    """The message queue on which a Nova daemon receives calls."""
    if daemon.startswith('nova-compute-'):
        return 'compute.' + daemon.removeprefix('nova-compute-')
    return daemon.removeprefix('nova-')


def override_file(layout: layouts.Layout, daemon: str) -> Path:
    """The file with options that win over those in the daemon's nova.conf."""
    return layout.etc / 'nova' / f'{daemon}.conf'


def override(
    layout: layouts.Layout, daemon: str, settings: ini.Settings
) -> None:
    """Write the file that override_file() names."""
    layouts.write(override_file(layout, daemon), ini.render(settings))


def compute_conf(layout: layouts.Layout, host: str) -> Path:
    """nova.conf of a compute host."""
    return layout.etc / 'nova' / f'{host}.conf'


def start(
    supervisor: supervisors.Supervisor, site: sites.Site, daemon: str
) -> None:
    """Start the conductor or the scheduler, and wait until it serves."""
    layout = site.layout
    started = supervisor.start(
        daemon,
        [
            layouts.BIN / daemon,
            '--config-file',
            layout.nova_conf,
            '--config-file',
            override_file(layout, daemon),
        ],
    )
    rabbitmq.Queues(supervisor, site).wait_served(
        [queue(daemon)], _SECONDS, started
    )


def start_compute(
    supervisor: supervisors.Supervisor, host: compute_host.ComputeHost
) -> None:
    """Start a host's nova-compute, and wait until it serves."""
    layout, name = host.site.layout, compute_name(host.spec.name)
    started = host.start_service(
        supervisor,
        name,
        [
            compute_conf(layout, host.spec.name),
            override_file(layout, name),
        ],
    )
    seconds = _SECONDS if host.spec.machine is None else _MACHINE_SECONDS
    rabbitmq.Queues(supervisor, host.site).wait_served(
        [queue(name)], seconds, started
    )
