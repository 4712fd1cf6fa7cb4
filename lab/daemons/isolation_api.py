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

"""nova-isolation-api, the service for operators."""

from lab.config import site as sites
from lab.daemons import nova
from lab.daemons import wsgi
from lab.run import layout as layouts
from lab.run import supervisor as supervisors

NAME = 'nova-isolation-api'
_SECONDS = 400


def start(supervisor: supervisors.Supervisor, site: sites.Site) -> None:
    """Start the service and wait until it answers."""
    layout = site.layout
    daemon = supervisor.start(
        NAME,
        [
            layouts.BIN / NAME,
            '--config-file',
            layout.isolation_api_conf,
            '--config-file',
            nova.override_file(layout, NAME),
        ],
    )
    url = f'{site.url(sites.OPERATOR_API)}/'
    supervisor.wait(NAME, lambda: wsgi.answers(url), _SECONDS, daemon)
