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

"""A browser, and the service with its page on a port of this machine."""

import shutil
import socket
import threading
import time

from axe_playwright_python import sync_playwright as axe
from playwright import sync_api
import uvicorn

from nova_isolation.model import facts
from nova_isolation.page import identity
from nova_isolation.page import routes
from nova_isolation.page import sessions
from nova_isolation.service import app
from nova_isolation.service import picture_keeper
from tests.unit import base
from tests.unit import strategies
from tests.unit.service import fakes

#: How long the browser may take for anything, in milliseconds. The machine may
#: be busy.
_TIMEOUT = 60_000
#: What axe must not find.
_GRAVE = ('serious', 'critical')


class Keystone:
    """In place of :class:`nova_isolation.page.identity.Identity`: the name of
    a user is the token, see :data:`tests.unit.service.fakes.TOKENS`.
    """

    def __init__(self):
        self.forms = []
        self.logged_out = []

    def log_in(self, form):
        self.forms.append(form)
        user = form.get('user') or form.get('id')
        if form.get('password', form.get('secret')) != 'right':
            raise identity.Refused('Keystone refuses this log-in.')
        return sessions.Login(
            user, time.time() + 3600, f'id-{user}', user, 'a scope'
        )

    def log_out(self, login):
        self.logged_out.append(login.token)


class Service:
    """The service over a picture of a cloud."""

    def __init__(self, seen):
        self.keystone = Keystone()
        self.sessions = sessions.Sessions()
        page = routes.Page(self.keystone, self.sessions)
        now = time.time()
        # The machine may be so busy that facts would become stale.
        keeper = picture_keeper.PictureKeeper(lambda: seen, 10, 100_000)
        keeper.refresh()
        application = app.make(
            fakes.parts(seen, keeper=keeper, clock=lambda: now),
            page.routes(),
        )
        self._socket = socket.socket()
        self._socket.bind(('127.0.0.1', 0))
        self.url = f'http://127.0.0.1:{self._socket.getsockname()[1]}'
        self._server = uvicorn.Server(
            uvicorn.Config(application, log_config=None, lifespan='off')
        )
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), daemon=True
        )

    def start(self):
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def stop(self):
        self._server.should_exit = True
        self._thread.join(30)
        self._socket.close()


class BrowserTest(base.TestCase):
    """One browser for all tests of a class; each has a window of its own."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        path = shutil.which('chromium')
        if path is None:
            raise AssertionError('the Debian package chromium is missing')
        sync_api.expect.set_options(timeout=_TIMEOUT)
        playwright = sync_api.sync_playwright().start()
        cls.addClassCleanup(playwright.stop)
        cls.browser = playwright.chromium.launch(
            # Its own sandbox refuses root, as whom CI runs.
            executable_path=path,
            args=['--no-sandbox'],
        )
        cls.addClassCleanup(cls.browser.close)

    def setUp(self):
        super().setUp()
        #: What consoles showed, and what was asked of other machines.
        self.troubles = []
        self.addCleanup(lambda: self.assertEqual([], self.troubles))
        self.window = self.open()

    def open(self, **options):
        """Return a window with cookies of its own."""
        options.setdefault('viewport', {'width': 1600, 'height': 1000})
        context = self.browser.new_context(**options)
        self.addCleanup(context.close)
        window = context.new_page()
        window.set_default_timeout(_TIMEOUT)
        window.on(
            'console',
            lambda message: (
                self.troubles.append(message.text)
                if message.type in ('error', 'warning')
                and 'status of 40' not in message.text
                else None
            ),
        )
        window.on('pageerror', lambda error: self.troubles.append(str(error)))
        window.on(
            'request',
            lambda request: (
                None
                if request.url.startswith(('http://127.0.0.1:', 'file:///'))
                else self.troubles.append(request.url)
            ),
        )
        return window

    def assertAccessible(self, window=None):
        """axe finds nothing grave in a window."""
        found = axe.Axe().run(window or self.window)
        self.assertGreater(len(found.response['passes']), 10)
        self.assertEqual(
            [],
            [
                (one['id'], one['help'], [n['html'] for n in one['nodes']])
                for one in found.response['violations']
                if one['impact'] in _GRAVE
            ],
        )


def nodes(count):
    """Compute nodes: of ten one is stale, one has AppArmor, and so on."""
    made = []
    for number in range(1, count + 1):
        kind = number % 10
        document = strategies.STRONG
        if kind == 3:
            document = {
                **document,
                'svirt': {**document['svirt'], 'models': ['apparmor']},
            }
        made.append(
            fakes.node(
                f'compute-{number:04d}',
                state='disabled' if kind == 7 else '',
                mode='audit' if kind == 6 else 'enforce',
                document='' if kind == 9 else facts.dumps(document),
                age=4000 if kind == 8 else kind,
                cell=f'cell{number % 3 + 1}',
            )
        )
    return made
