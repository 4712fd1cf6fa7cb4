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

"""Takes a picture of the page of nova-isolation-api, in a headless Chromium.

    picture.py URL USER PNG

USER logs in to the system with the password in LAB_PASSWORD. The text that the
page shows is printed. This is a program of its own because it needs
playwright, which only the venv of the current release of Nova has.
"""

import os
import sys

from playwright import sync_api

_MILLISECONDS = 60_000


def main() -> int:
    """Log in, take the picture, print what can be read in it."""
    url, user, png = sys.argv[1:]
    with sync_api.sync_playwright() as playwright:
        # Chromium refuses to run as root in a sandbox. It loads nothing but
        # the lab's own page.
        browser = playwright.chromium.launch(
            executable_path='/usr/bin/chromium', args=['--no-sandbox']
        )
        page = browser.new_page(viewport={'width': 1400, 'height': 900})
        page.set_default_timeout(_MILLISECONDS)
        page.goto(url)
        form = page.get_by_role('form', name='With a password')
        form.get_by_label('User name').fill(user)
        form.get_by_label('Password').fill(os.environ['LAB_PASSWORD'])
        form.get_by_label('the whole system').check()
        with page.expect_navigation():
            form.get_by_role('button', name='Log in').click()
        page.screenshot(path=png, full_page=True)
        sys.stdout.write(page.inner_text('body'))
        browser.close()
    return 0


if __name__ == '__main__':
    sys.exit(main())
