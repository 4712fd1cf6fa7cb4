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

"""A log of evidence, as a host sees it: real TLS, answers of the test."""

import http.server
import json
import ssl
import threading
import time

import fixtures

from nova_isolation.evidence import envelope
from tests.unit.https import pki


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_POST(self):
        length = int(self.headers['Content-Length'])
        value = json.loads(self.rfile.read(length))
        status, answer = self.server.log.answer(self.path, value)
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class _Server(http.server.ThreadingHTTPServer):
    """The class is made now: once a test has imported eventlet.wsgi, which
    Nova 31 and 32 do, http.server names eventlet's copy of the module.
    """

    daemon_threads = True


class Log(fixtures.Fixture):
    """A log.

    :ivar taken: the envelopes that were taken, JSON values
    :ivar refusals: key id or None -> code with which all are refused
    :ivar answers: path -> status and answer, in place of the usual ones
    :ivar requests: the path and value of each request
    """

    def _setUp(self):
        self.taken = []
        self.refusal = None
        self.answers = {}
        self.requests = []
        self.delay = 0.0
        self.changed = threading.Condition()
        self.authority = pki.Authority(
            self.useFixture(fixtures.TempDir()).path
        )
        self.ours = self.authority.issue('compute-1')
        self.start()

    def start(self, port=0):
        """Listen, again on the same port after :meth:`stop`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        served = self.authority.issue('127.0.0.1')
        context.load_cert_chain(served.cert_file, served.key_file)
        context.load_verify_locations(self.authority.ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
        self.server = _Server(('127.0.0.1', port), _Handler)
        self.server.log = self
        self.server.socket = context.wrap_socket(
            self.server.socket, server_side=True
        )
        self.port = self.server.server_address[1]
        thread = threading.Thread(
            target=self.server.serve_forever, daemon=True
        )
        thread.start()
        self.addCleanup(self.stop)

    def stop(self):
        """No longer listen."""
        self.server.shutdown()
        self.server.server_close()

    def answer(self, path, value):
        """What is answered to a request."""
        time.sleep(self.delay)
        with self.changed:
            self.requests.append((path, value))
            self.changed.notify_all()
            if path in self.answers:
                return self.answers[path]
            if path != '/v1/evidence/statements':
                return 404, {'code': 'not-found', 'detail': path}
            if self.refusal:
                return 200, {
                    'receipts': [
                        {'code': self.refusal, 'detail': 'because'}
                        for _ in value['envelopes']
                    ]
                }
            self.taken += value['envelopes']
            return 200, {
                'receipts': [
                    {'index': index}
                    for index in range(len(value['envelopes']))
                ]
            }

    def wait(self, done, seconds=20):
        """Wait until something is so."""
        with self.changed:
            return self.changed.wait_for(done, seconds)

    def statements(self, key):
        """What was taken, verified."""
        return [envelope.open_envelope(one, [key]) for one in self.taken]

    def options(self, **other):
        """Options of a host that uses this log."""
        return {
            'url': f'https://127.0.0.1:{self.port}',
            'ca_file': self.authority.ca_file,
            'cert_file': self.ours.cert_file,
            'key_file': self.ours.key_file,
            'timeout': 5.0,
            'clock_skew': 5.0,
            **other,
        }
