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

from lab import connection as connections
from lab import hosts
from lab import layout as layouts
from lab import place as place_api
from lab.config import ini
from lab.config import nova as nova_config
from lab.config import services
from lab.config import site as sites
from lab.daemons import nova

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
    places: Mapping[str, place_api.Place],
    control: ini.Settings,
    attested: ini.Settings,
) -> None:
    """Write them all.

    :param places: the compute hosts, by name
    :param control: more of nova.conf of the control plane
    :param attested: more of nova.conf of whoever decides about guests
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
        ('nova/cell0.conf', nova_config.cell0(site)),
    ):
        layouts.write(layout.etc / name, ini.render(settings))
    ours = any(
        place.host.driver == hosts.OUR_DRIVER for place in places.values()
    )
    layouts.write(
        layout.nova_conf,
        ini.render(
            ini.merge(nova_config.control(site, ours), attested, control)
        ),
    )
    shutil.copy(
        layouts.VENV / 'etc' / 'nova' / 'api-paste.ini', layout.etc / 'nova'
    )
    daemons = [nova.API, nova.CONDUCTOR, nova.SCHEDULER]
    for name, place in places.items():
        _write_compute(site, place, attested)
        daemons.append(nova.compute_name(name))
    for daemon in daemons:
        nova.override(layout, daemon, {})


def _write_compute(
    site: sites.Site, place: place_api.Place, attested: ini.Settings
) -> None:
    host = place.host
    conf = nova.compute_conf(site.layout, host.name)
    settings: ini.Settings
    if host.machine is not None:
        # It does not see the lab's servers at their own address.
        settings = nova_config.machine_compute(site, host, conf)
    else:
        settings = nova_config.compute(site, host, conf)
        if host.driver == hosts.OUR_DRIVER:
            settings = ini.merge(settings, attested)
    layouts.write(conf, ini.render(settings))
