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

"""Keylime's configuration: its defaults, and the options that differ here."""

import configparser
import io
from pathlib import Path

from lab.config import ini
from lab.config import site as sites
from lab.keylime import certificates
from lab.keylime import environment as environments
from lab.keylime import tpm
from lab.run import layout as layouts

#: Seconds between two quotes of a host, and between two tries.
QUOTE_INTERVAL = 2
_RETRY = {'exponential_backoff': False, 'retry_interval': 1, 'max_retries': 3}
_AUTHORITY = 'keylime'
_SERVER, _CLIENT, _WEBHOOK = 'server', 'client', 'webhook'
READER = 'reader'


def authority(layout: layouts.Layout) -> Path:
    """The folder of Keylime's own authority and its certificates."""
    return layout.etc / 'keylime' / 'certificates'


def make_certificates(layout: layouts.Layout) -> None:
    """Make Keylime's authority and all certificates that it signs."""
    folder = authority(layout)
    maker = certificates.Authority(folder, f'{_AUTHORITY} of a lab')
    maker.make()
    maker.server(_SERVER)
    maker.client(_CLIENT)
    # For attestd, which receives revocations and reads verdicts.
    maker.server(_WEBHOOK)
    maker.client(READER)


def webhook_certificate(layout: layouts.Layout) -> tuple[Path, Path]:
    """Certificate and key of the server that receives revocations."""
    folder = authority(layout)
    return (
        certificates.certificate_file(folder, _WEBHOOK),
        certificates.key_file(folder, _WEBHOOK),
    )


def reader_certificate(layout: layouts.Layout) -> tuple[Path, Path]:
    """Certificate and key of a client of the verifier."""
    folder = authority(layout)
    return (
        certificates.certificate_file(folder, READER),
        certificates.key_file(folder, READER),
    )


def folder(layout: layouts.Layout, name: str) -> Path:
    """KEYLIME_DIR, the state folder of a service or agent."""
    return layout.data / 'keylime' / name


def file(layout: layouts.Layout, name: str) -> Path:
    """The configuration file of a service or agent."""
    return layout.etc / 'keylime' / f'{name}.conf'


def variables(
    layout: layouts.Layout, name: str, component: str = ''
) -> dict[str, str]:
    """The environment in which a service or agent finds its own files.

    :param name: the name of the service or agent
    :param component: Keylime's name for this kind, if it is another one
    """
    found = {
        'KEYLIME_DIR': str(folder(layout, name)),
        'TMPDIR': str(folder(layout, name)),
    }
    for one, conf in (
        (component or name, name),
        ('logging', 'logging'),
        ('ca', 'ca'),
    ):
        found[f'KEYLIME_{one.upper()}_CONFIG'] = str(file(layout, conf))
    return found


def write(
    built: environments.Environment,
    layout: layouts.Layout,
    name: str,
    differing: ini.Settings,
    component: str = '',
) -> None:
    """Write the configuration file of a service or agent.

    :raises KeyError: when Keylime has no such option
    """
    parser = configparser.RawConfigParser()
    parser.read(built.defaults(component or name), 'utf-8')
    for section, options in differing.items():
        for option, value in options.items():
            if option not in parser[section]:
                raise KeyError(
                    f'Keylime has no option [{section}] {option} for {name}'
                )
            parser[section][option] = str(value)
    text = io.StringIO()
    parser.write(text)
    layouts.write(file(layout, name), text.getvalue())
    folder(layout, name).mkdir(parents=True, exist_ok=True)


def registrar(site: sites.Site) -> ini.Settings:
    """The options of the registrar."""
    return {
        'registrar': {
            'ip': f'"{sites.LOCALHOST}"',
            'port': site.ports['registrar'],
            'tls_port': site.ports['registrar-tls'],
            'max_workers': 1,
            **_server(site),
        }
    }


def verifier(site: sites.Site, webhook: str) -> ini.Settings:
    """The options of the verifier.

    :param webhook: the URL to which the verifier sends revocations
    """
    return {
        'verifier': {
            'ip': f'"{sites.LOCALHOST}"',
            'port': site.ports['verifier'],
            'registrar_port': site.ports['registrar-tls'],
            'num_workers': 1,
            'max_workers': 1,
            'quote_interval': QUOTE_INTERVAL,
            'request_timeout': 15,
            'shutdown_drain_timeout': 1,
            **_RETRY,
            **_server(site),
            **_client(site),
        },
        'revocations': {
            'enabled_revocation_notifications': "['webhook']",
            'webhook_url': webhook,
        },
    }


def tenant(site: sites.Site) -> ini.Settings:
    """The options of the tenant, the command of the admin."""
    return {
        'tenant': {
            'verifier_port': site.ports['verifier'],
            'registrar_port': site.ports['registrar-tls'],
            'tpm_cert_store': str(tpm.trusted_manufacturers(site.layout)),
            'require_ek_cert': True,
            **_RETRY,
            **_client(site),
        }
    }


def agent(site: sites.Site, uuid: str, port: int) -> ini.Settings:
    """The options of the agent of a host.

    :param uuid: the id of the agent at the verifier
    :param port: the port on which the agent listens
    """
    trusted = certificates.authority_file(authority(site.layout))
    return {
        'agent': {
            'uuid': f'"{uuid}"',
            'port': port,
            'contact_port': port,
            'registrar_port': site.ports['registrar'],
            'trusted_client_ca': f"['{trusted}']",
            'enable_revocation_notifications': False,
            'payload_script': '""',
            'extract_payload_zip': False,
            'run_as': '""',
        }
    }


def _server(site: sites.Site) -> dict[str, ini.Value]:
    folder = authority(site.layout)
    return {
        'tls_dir': str(folder),
        'server_cert': str(certificates.certificate_file(folder, _SERVER)),
        'server_key': str(certificates.key_file(folder, _SERVER)),
        'trusted_client_ca': f"['{certificates.authority_file(folder)}']",
    }


def _client(site: sites.Site) -> dict[str, ini.Value]:
    folder = authority(site.layout)
    return {
        'tls_dir': str(folder),
        'client_cert': str(certificates.certificate_file(folder, _CLIENT)),
        'client_key': str(certificates.key_file(folder, _CLIENT)),
        'trusted_server_ca': f"['{certificates.authority_file(folder)}']",
    }
