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

"""The HTTP services, each in a uWSGI server of its own."""

import dataclasses
from pathlib import Path

import requests

from lab.config import release
from lab.config import site as sites
from lab.run import layout as layouts
from lab.run import supervisor as supervisors

_NEUTRON_APPLICATION = Path(__file__).with_name('neutron_wsgi.py')


@dataclasses.dataclass(frozen=True)
class Service:
    """One HTTP service."""

    name: str
    #: uWSGI's option that names the application.
    application: str
    #: The environment variables that name the folder and the files of its
    #: configuration.
    folder: str
    files: tuple[str, str] | None
    #: A path that needs no token.
    probe: str = '/'


KEYSTONE = Service(
    'keystone',
    '--module=keystone.wsgi.api:application',
    'OS_KEYSTONE_CONFIG_DIR',
    ('OS_KEYSTONE_CONFIG_FILES', 'keystone.conf'),
    '/v3',
)
PLACEMENT = Service(
    'placement',
    '--module=placement.wsgi.api:application',
    'OS_PLACEMENT_CONFIG_DIR',
    None,
)
GLANCE = Service(
    'glance',
    '--module=glance.wsgi.api:application',
    'OS_GLANCE_CONFIG_DIR',
    ('OS_GLANCE_CONFIG_FILES', 'glance-api.conf'),
    '/versions',
)
NEUTRON = Service(
    'neutron',
    f'--wsgi-file={_NEUTRON_APPLICATION}',
    'OS_NEUTRON_CONFIG_DIR',
    ('OS_NEUTRON_CONFIG_FILES', 'neutron.conf'),
)
NOVA = Service(
    'nova',
    '--module=nova.wsgi.osapi_compute:application',
    # Nova demands the paste file first.
    'OS_NOVA_CONFIG_DIR',
    ('OS_NOVA_CONFIG_FILES', 'api-paste.ini;nova.conf;nova-api.conf'),
)
ALL = (KEYSTONE, PLACEMENT, GLANCE, NEUTRON, NOVA)


def daemon_name(service: Service) -> str:
    """The name of a service's daemon, and of its log."""
    return f'{service.name}-api'


def start(
    supervisor: supervisors.Supervisor, site: sites.Site, service: Service
) -> None:
    """Start a service and wait until it answers."""
    folder = site.layout.etc / service.name
    environment = {service.folder: str(folder)}
    if service.files is not None:
        environment[service.files[0]] = service.files[1]
    command: list[str | Path] = [
        layouts.BIN / 'uwsgi',
        '--die-on-term',
        '--need-app',
        '--http-socket',
        f'{sites.LOCALHOST}:{site.ports[service.name]}',
        service.application,
        '--virtualenv',
        layouts.VENV,
        '--enable-threads',
        *_workers(service),
        '--buffer-size',
        '65535',
        '--http-chunked-input',
        '--http-raw-body',
        # The default, 4 s for each piece of an uploaded image, is too short.
        '--chunked-input-timeout',
        '60',
        # As short is it for each piece that a busy emulated machine fetches.
        '--socket-timeout',
        '300',
        '--add-header',
        'Connection: close',
        '--procname-prefix',
        f'{service.name} ',
        '--disable-logging',
    ]
    if service is NEUTRON:
        command.append(f'--pyargv=--config-file={folder}/neutron.conf')
    daemon = supervisor.start(daemon_name(service), command, environment)
    root = f'http://{sites.LOCALHOST}:{site.ports[service.name]}'
    supervisor.wait(
        service.name, lambda: answers(root + service.probe), 400, daemon
    )


def _workers(service: Service) -> list[str]:
    """uWSGI's options for what serves several requests at once."""
    if service is NOVA and release.API_HAS_EVENTLET:
        # A hub of eventlet does not survive a fork.
        return ['--master', '--lazy-apps', '--processes', '3']
    return ['--threads', '4']


def answers(url: str) -> bool:
    """Whether a server answers at this URL, and with no error of its own."""
    try:
        # A proxy of the environment must not be used for 127.0.0.1.
        with requests.Session() as session:
            session.trust_env = False
            return session.get(url, timeout=5).status_code < 500
    except requests.RequestException:
        return False
