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

"""nova-isolation-attestd, and the options of Nova's services for it.

Only this module knows the names of the options for attestation.
"""

import functools
from pathlib import Path

from lab.config import ini
from lab.config import site as sites
from lab.keylime import certificates
from lab.keylime import settings
from lab.machine import recipe
from lab.run import layout as layouts
from lab.run import ports as port_blocks
from lab.run import supervisor as supervisors

NAME = 'nova-isolation-attestd'
#: Seconds for which a good quote counts: a few of Keylime's intervals, so that
#: tests do not wait long.
MAX_AGE = 20
#: Seconds. All services use the clock of one machine; a host that is a
#: virtual machine has its own.
CLOCK_SKEW, CLOCK_SKEW_OF_MACHINES = 1, 10
_SERVER, _CLIENT = 'attestd', 'nova'
_SECONDS = 300


def make(site: sites.Site, more: ini.Settings) -> None:
    """Make the configuration, and certificates of server and clients.

    :param more: further options
    """
    layout = site.layout
    maker = certificates.Authority(_authority(layout), 'attestd of a lab')
    maker.make()
    maker.server(_SERVER)
    maker.client(_CLIENT)
    layouts.write(_conf(layout), ini.render(ini.merge(_settings(site), more)))


def start(supervisor: supervisors.Supervisor, site: sites.Site) -> None:
    """Start attestd and wait until it listens."""
    daemon = supervisor.start(
        NAME,
        [layouts.BIN / NAME, '--config-file', _conf(site.layout)],
    )
    for port in ('attestd', 'attestd-webhook', 'attestd-evidence'):
        supervisor.wait(
            f'{NAME}: {port}',
            functools.partial(port_blocks.listening, site.ports[port]),
            _SECONDS,
            daemon,
        )


def webhook(site: sites.Site) -> str:
    """The URL to which the verifier sends revocations."""
    port = site.ports['attestd-webhook']
    return f'https://{sites.LOCALHOST}:{port}/v1/revocation'


def url(site: sites.Site) -> str:
    """The URL at which attestd serves Nova's services."""
    return f'https://{site.address}:{site.ports["attestd"]}'


def authority_certificate(layout: layouts.Layout) -> Path:
    """The certificate of the authority that attestd and its clients trust."""
    return certificates.authority_file(_authority(layout))


def client_certificate(layout: layouts.Layout) -> tuple[Path, Path]:
    """Certificate and key of Nova's services as clients of attestd."""
    folder = _authority(layout)
    return (
        certificates.certificate_file(folder, _CLIENT),
        certificates.key_file(folder, _CLIENT),
    )


def client(
    site: sites.Site,
    folder: Path | None = None,
    clock_skew: int = CLOCK_SKEW,
) -> ini.Settings:
    """The options of nova.conf with which Nova's services use attestd.

    :param folder: where the client has its files; by default, where make()
        has put them
    :param clock_skew: seconds by which its clock may differ
    """
    ca, certificate, key = (
        folder / path.name if folder else path
        for path in client_files(site.layout)
    )
    return {
        'isolation_attestation': {
            'provider': 'attestd',
            'url': url(site),
            'ca_file': str(ca),
            'cert_file': str(certificate),
            'key_file': str(key),
            'max_age': MAX_AGE,
            'clock_skew': clock_skew,
        }
    }


def client_of_machine(site: sites.Site) -> ini.Settings:
    """The same, for a compute host that is a virtual machine."""
    return client(
        site.seen_from_machine(), recipe.CONFIGURATION, CLOCK_SKEW_OF_MACHINES
    )


def client_files(layout: layouts.Layout) -> tuple[Path, Path, Path]:
    """The authority's certificate, and certificate and key of a client."""
    return authority_certificate(layout), *client_certificate(layout)


def host_map(layout: layouts.Layout) -> Path:
    """The file that maps hosts to their agents."""
    return layout.etc / 'attestd' / 'hosts'


def _settings(site: sites.Site) -> ini.Settings:
    """The configuration of attestd."""
    layout = site.layout
    keylime, ours = settings.authority(layout), _authority(layout)
    reader, reader_key = settings.reader_certificate(layout)
    told, told_key = settings.webhook_certificate(layout)
    return {
        'isolation_attestation': {
            'provider': 'keylime',
            'verifiers': (
                f'https://{sites.LOCALHOST}:{site.ports["verifier"]}'
            ),
            'ca_file': str(certificates.authority_file(keylime)),
            'cert_file': str(reader),
            'key_file': str(reader_key),
            'host_map': str(host_map(layout)),
            'poll_interval': 1,
            'timeout': 5,
            'max_age': MAX_AGE,
            'clock_skew': CLOCK_SKEW,
        },
        'attestd': {
            'bind': sites.LOCALHOST,
            'port': site.ports['attestd'],
            'cert_file': str(certificates.certificate_file(ours, _SERVER)),
            'key_file': str(certificates.key_file(ours, _SERVER)),
            'client_ca_file': str(authority_certificate(layout)),
            'webhook_port': site.ports['attestd-webhook'],
            'webhook_cert_file': str(told),
            'webhook_key_file': str(told_key),
            'webhook_ca_file': str(certificates.authority_file(keylime)),
        },
    }


def _authority(layout: layouts.Layout) -> Path:
    return layout.etc / 'attestd' / 'certificates'


def _conf(layout: layouts.Layout) -> Path:
    return layout.etc / 'attestd' / 'attestd.conf'
