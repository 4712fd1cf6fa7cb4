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
"""The options of a port (:mod:`nova_isolation.attestd.listener`)."""

from oslo_config import cfg


def make(
    program: str,
    port: int,
    port_help: str,
    max_clients: int,
    clients_help: str,
    cert_help: str = '',
    key_help: str = '',
) -> list[cfg.Opt]:
    """Return the options of the port of a daemon.

    :param program: what the daemon calls itself, e.g. ``service``
    :param port: the default port
    :param port_help: what the port is for, in sentences
    :param max_clients: how many clients may be connected by default
    :param clients_help: what happens if more want to be
    :param cert_help: what a missing certificate means
    :param key_help: why the key must be kept from others
    """
    return [
        cfg.HostAddressOpt(
            'bind',
            default='127.0.0.1',
            help=f"""
Address on which the {program} listens.
""",
        ),
        cfg.PortOpt('port', default=port, min=1, help=f'\n{port_help}\n'),
        cfg.StrOpt(
            'cert_file',
            default='',
            help=f"""
File with the certificate (PEM) of the {program}, followed by the intermediate
CAs.
"""
            + (f'\n{cert_help}\n' if cert_help else ''),
        ),
        cfg.StrOpt(
            'key_file',
            default='',
            help=f"""
File with the private key (PEM, without a passphrase) of cert_file.

The key is used only if nobody but the user of the {program}, or root, can read
the file{f': {key_help}' if key_help else ''}.
""",
        ),
        cfg.IntOpt(
            'max_clients',
            default=max_clients,
            min=2,
            help=f"""
How many clients may be connected at once.

{clients_help}
""",
        ),
    ]
