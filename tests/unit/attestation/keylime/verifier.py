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


"""A stand-in for a Keylime verifier: real HTTPS, recorded answers.

``recorded/`` holds answers of a verifier of Keylime 7.14.3, word for word but
for the key shares; the headers beside them tell when.
"""

import contextlib
import copy
import email.utils
import http.server
import json
import pathlib
import ssl
import threading
import time

import fixtures

from tests.unit.https import pki

RECORDED = pathlib.Path(__file__).parent / 'recorded'

#: The agents of the recorded answers, and the share that none may keep.
FIRST = '5dbf4663-d8da-5e31-bd10-91589dbfff2d'
SECOND = '1f2014e5-af95-572e-8bf3-b52ebe5217dc'
SHARE = 'c2hhcmUtb2YtYS1rZXk='

#: As keylime.web_util and keylime.cloud_verifier_tornado.VersionHandler.
VERSIONS = ['1.0', '2.0', '2.1', '2.2', '2.3', '2.4', '2.5', '2.6', '3.0']


def recorded(name, now=None):
    """The results of a recorded answer, as if it had just been given.

    :param now: when it is given instead of when it was
    """
    answer = json.loads((RECORDED / f'{name}.json').read_text())
    headers = json.loads((RECORDED / f'{name}.headers.json').read_text())
    then = email.utils.parsedate_to_datetime(headers['Date']).timestamp()
    moved = int((time.time() if now is None else now) - then)
    for status in answer['results'].values():
        status['v'] = SHARE
        for key in ('last_received_quote', 'last_successful_attestation'):
            status[key] += moved
    return answer['results']


def many(number, now=None):
    """The results of a verifier with many good agents.

    Each with PCRs of its own, and its host in its meta data.
    """
    status = recorded('two_pass', now)[FIRST]
    result = {}
    for index in range(number):
        one = copy.deepcopy(status)
        one['tpm_policy'] = json.dumps(
            {
                **{pcr: [f'{index:064x}'] for pcr in ('0', '17', '18')},
                'mask': '0x60001',
            }
        )
        one['meta_data'] = json.dumps({'host': f'compute{index}'})
        result[f'{index:08x}{FIRST[8:]}'] = one
    return result


def body(results, code=200, status='Success'):
    """An answer as Keylime writes it (web_util.echo_json_response)."""
    return json.dumps(
        {'code': code, 'status': status, 'results': results}
    ).encode()


class Verifier(fixtures.Fixture):
    """A server; each attribute may be changed while it runs.

    :ivar results: what it answers about all agents, or bytes
    :ivar versions: of the API, or bytes
    :ivar status: of the answers about agents
    :ivar headers: that it adds
    :ivar clock: seconds by which its clock is ahead; None: it tells no time
    :ivar delay: seconds before it answers about agents
    :ivar mood: '' or one of ``silent`` (accepts and never answers),
        ``no TLS``, ``drips`` (a byte at a time), ``drips headers``, ``cuts``
        (closes before the end), ``hangs up``
    :ivar paths: what it was asked, with the common names of who asked
    """

    def __init__(self, authority=None, certificate=None):
        """:param authority: of both sides; its own if there is none
        :param certificate: its own, see :mod:`tests.unit.https.pki`
        """
        self.authority = authority
        self.certificate = certificate
        self.results = {}
        self.versions = VERSIONS
        self.status = 200
        self.headers = {}
        self.clock = 0.0
        self.delay = 0.0
        self.mood = ''
        self.paths = []
        self.connections = 0

    def _setUp(self):
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        if self.authority is None:
            self.authority = pki.Authority(folder)
        if self.certificate is None:
            self.certificate = self.authority.issue(f'verifier{id(self)}')
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(
            self.certificate.cert_file, self.certificate.key_file
        )
        context.load_verify_locations(self.authority.ca_file)
        # As Keylime: who has none is told 403.
        context.verify_mode = ssl.CERT_OPTIONAL
        self.ended = threading.Event()
        self.server = _Server(('127.0.0.1', 0), self, context)
        self.url = f'https://127.0.0.1:{self.server.server_port}'
        thread = threading.Thread(
            target=self.server.serve_forever, args=(0.05,), daemon=True
        )
        thread.start()
        self.addCleanup(thread.join, 10)
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.addCleanup(self.ended.set)

    def answer(self, path, peer):
        """Status and body."""
        self.paths.append((path, peer))
        if not peer:
            # As recorded/no_certificate_403.json, word for word.
            return 403, (RECORDED / 'no_certificate_403.json').read_bytes()
        if path == '/version':
            if isinstance(self.versions, bytes):
                return 200, self.versions
            return 200, body(
                {
                    'current_version': '2.6',
                    'supported_versions': self.versions,
                }
            )
        self.ended.wait(self.delay)
        if isinstance(self.results, bytes):
            return self.status, self.results
        return self.status, body(self.results, self.status)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address, verifier, context):
        self.verifier = verifier
        self.context = context
        super().__init__(address, _Handler)

    def handle_error(self, request, client_address):
        """A client that goes is no news."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def setup(self):
        self.verifier = self.server.verifier
        self.verifier.connections += 1
        if self.verifier.mood == 'no TLS':
            self.verifier.ended.wait(60)
        if self.verifier.mood == 'drips TLS':
            # The head of a handshake record, and its beginning.
            self.wfile = self.request.makefile('wb', 0)
            self.drip(b'\x16\x03\x03\x40\x00\x02\x00\x3f\xf0' + bytes(10**4))
        self.request = self.server.context.wrap_socket(
            self.request, server_side=True
        )
        super().setup()

    def date_time_string(self, timestamp=None):
        return email.utils.formatdate(
            time.time() + (self.verifier.clock or 0), usegmt=True
        )

    def do_GET(self):
        verifier, mood = self.verifier, self.verifier.mood
        certificate = self.request.getpeercert() or {}
        names = dict(part[0] for part in certificate.get('subject', ()))
        status, data = verifier.answer(self.path, names.get('commonName', ''))
        if mood == 'silent':
            verifier.ended.wait(60)
            return
        if mood == 'hangs up':
            self.close_connection = True
            return
        if mood == 'drips headers':
            self.drip(b'HTTP/1.1 200 OK\r\nX-Drip: ' + b'x' * 10**4)
            return
        self.send_response_only(status)
        if verifier.clock is not None:
            self.send_header('Date', self.date_time_string())
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(data)))
        for name, value in verifier.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if mood == 'drips':
            self.drip(data)
        elif mood == 'cuts':
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
        else:
            self.wfile.write(data)

    def drip(self, data):
        with contextlib.suppress(OSError):
            for index in range(len(data)):
                self.wfile.write(data[index : index + 1])
                if self.verifier.ended.wait(0.1):
                    return

    def log_message(self, format, *args):
        """Quiet."""
