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

"""The options of a client's TLS (:mod:`nova_isolation.https.tls`)."""

from oslo_config import cfg


def make(
    server: str,
    certificate: str,
    cert_help: str = '',
    key_help: str = '',
    services: str = '',
) -> list[cfg.Opt]:
    """Return the options by which a client and its server know each other.

    :param server: whom the client asks, e.g. ``the log``
    :param certificate: what the CAs have signed, e.g. ``the certificate of
        the log``
    :param cert_help: when the server wants a certificate of the client
    :param key_help: why the key must be kept from others
    :param services: which services read the options; '': the group says so
    """
    end = _paragraph(services and f'Services: {services}.')
    return [
        cfg.StrOpt(
            'ca_file',
            default='',
            help=f"""
File with the CA certificates (PEM) that signed {certificate}.

Only these CAs are trusted; the system CA store is not used.
{end}""",
        ),
        cfg.StrOpt(
            'cert_file',
            default='',
            help=f"""
File with the client certificate (PEM) that is shown to {server}.
{_paragraph(cert_help)}{end}""",
        ),
        cfg.StrOpt(
            'key_file',
            default='',
            help=f"""
File with the private key (PEM, without a passphrase) of cert_file.
{_paragraph(key_help)}{end}""",
        ),
    ]


def _paragraph(text: str) -> str:
    return f'\n{text}\n' if text else ''
