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

"""The plugin of the ``openstack`` command.

osc-lib imports this module at each start of ``openstack``, whatever the
command is, so it imports little.
"""

import argparse
import os
import pathlib
import typing

if typing.TYPE_CHECKING:
    from nova_isolation.osc import client

DEFAULT_API_VERSION = '1'
API_VERSION_OPTION = 'os_isolation_api_version'
API_NAME = 'isolation'
API_VERSIONS = ('1',)

_PROFILES = 'isolation-profiles'


def make_client(instance: typing.Any) -> 'client.Client':
    """Return a client of the service ``isolation``.

    :param instance: the client manager of osc-lib
    """
    from keystoneauth1 import adapter

    from nova_isolation.osc import client

    return client.Client(
        adapter.Adapter(
            session=instance.session,
            service_type=API_NAME,
            region_name=instance.region_name,
            interface=instance.interface,
            endpoint_override=instance.sdk_connection.config.get_endpoint(
                API_NAME
            ),
        )
    )


def build_option_parser(
    parser: argparse.ArgumentParser,
) -> argparse.ArgumentParser:
    """Add the global options of this plugin."""
    parser.add_argument(
        '--os-isolation-api-version',
        metavar='<isolation-api-version>',
        default=os.environ.get('OS_ISOLATION_API_VERSION'),
        help=(
            'Isolation API version, default='
            f'{DEFAULT_API_VERSION} (Env: OS_ISOLATION_API_VERSION)'
        ),
    )
    parser.add_argument(
        '--os-isolation-profiles',
        metavar='<folder>',
        default=os.environ.get('OS_ISOLATION_PROFILES'),
        help=(
            'Folder with isolation profiles of your own, in place of '
            f'~/.config/openstack/{_PROFILES} and /etc/openstack/{_PROFILES} '
            '(Env: OS_ISOLATION_PROFILES)'
        ),
    )
    return parser


def profile_folders(given: str | None) -> list[pathlib.Path]:
    """Return the folders of an admin's own profiles.

    :param given: the value of ``--os-isolation-profiles``
    """
    if given:
        return [pathlib.Path(given)]
    home = os.environ.get('XDG_CONFIG_HOME') or '~/.config'
    return [
        pathlib.Path(home).expanduser() / 'openstack' / _PROFILES,
        pathlib.Path('/etc/openstack') / _PROFILES,
    ]
