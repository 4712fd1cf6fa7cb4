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

"""The configuration files and empty folders of a cloud."""

from collections.abc import Mapping
import shutil

from lab.cloud import connection as connections
from lab.config import ini
from lab.config import isolation_api as isolation_api_conf
from lab.config import nova_conf
from lab.config import services
from lab.config import site as sites
from lab.daemons import isolation_api
from lab.daemons import nova
from lab.hosts import compute_host
from lab.run import layout as layouts

_FOLDERS = (
    'locks',
    'keystone',
    'neutron',
    'nova',
    'glance/images',
    'glance/tasks',
    'glance/staging',
)


def write(
    site: sites.Site,
    hosts: Mapping[str, compute_host.ComputeHost],
    control: ini.Settings,
    attested: ini.Settings,
    host_attested: Mapping[str, ini.Settings],
    reader: ini.Settings,
) -> None:
    """Write all files, and make all folders.

    :param hosts: the compute hosts, by name
    :param control: more options for nova.conf of the control plane
    :param attested: more options for nova.conf of the services of the control
        plane that decide about guests
    :param host_attested: the same for compute hosts with a TPM, by their names
    :param reader: more options for who reads the log of statements
    """
    layout = site.layout
    layouts.write(
        layout.etc / 'environment.sh',
        ''.join(
            f'export {name}={value}\n'
            for name, value in connections.environment(site).items()
        ),
    )
    for folder in _FOLDERS:
        (layout.data / folder).mkdir(parents=True)
    for name, settings in (
        ('keystone/keystone.conf', services.keystone(site)),
        ('placement/placement.conf', services.placement(site)),
        ('glance/glance-api.conf', services.glance(site)),
        ('neutron/neutron.conf', services.neutron(site)),
        ('nova/cell0.conf', nova_conf.cell0(site)),
    ):
        layouts.write(layout.etc / name, ini.render(settings))
    specs = [host.spec for host in hosts.values()]
    ours = any(spec.guarded for spec in specs)
    attested = ini.merge(nova_conf.patience(specs), attested)
    layouts.write(
        layout.nova_conf,
        ini.render(
            ini.merge(nova_conf.control(site, ours), attested, control)
        ),
    )
    layouts.write(
        layout.isolation_api_conf,
        ini.render(
            ini.merge(
                isolation_api_conf.isolation_api(site, ours), attested, reader
            )
        ),
    )
    shutil.copy(
        layouts.VENV / 'etc' / 'nova' / 'api-paste.ini', layout.etc / 'nova'
    )
    daemons = [
        nova.API,
        nova.CONDUCTOR,
        nova.SCHEDULER,
        isolation_api.NAME,
    ]
    for name, host in hosts.items():
        _write_compute(site, host, host_attested.get(name, {}))
        daemons.append(nova.compute_name(name))
    for daemon in daemons:
        nova.override(layout, daemon, {})


def _write_compute(
    site: sites.Site, host: compute_host.ComputeHost, attested: ini.Settings
) -> None:
    spec = host.spec
    settings: ini.Settings
    if spec.machine is not None:
        # A virtual machine reaches the lab's servers at another address.
        settings = nova_conf.machine_compute(site, spec)
    else:
        settings = nova_conf.compute(site, spec)
    if spec.guarded:
        settings = ini.merge(settings, attested)
    layouts.write(
        nova.compute_conf(site.layout, spec.name), ini.render(settings)
    )
