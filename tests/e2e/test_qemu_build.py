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

"""A QEMU that is built by the recipe, and what the catalogue says of it.

Stage e2e_qemu: a build takes minutes.
"""

import fnmatch
import functools
import json
from pathlib import Path
import subprocess

from lab.cloud import cloud as clouds
from lab.config import host_specs
from lab.emulator import cache
from lab.hosts import compute_host
from lab.run import layout as layouts
from nova_isolation.mechanisms.qemu import catalogue
from nova_isolation.mechanisms.qemu import groups
from tests.e2e import base
from tests.e2e import emulator

STRIPPED = 'cpu-stripped'
EVERY = tuple(catalogue.CATALOGUE)
WORDS = 'pie,nx,relro,bindnow,canary,fortify,cet'


@functools.cache
def cloud() -> clouds.Cloud:
    """A cloud with Debian's QEMU and with the one that was built."""
    return base.start_cloud(
        'e2e-qemu',
        host_specs.known([base.HARDENED, STRIPPED]),
        'LAB_STATE_QEMU',
    )


class TestCase(base.TestCase):
    """Tests on this cloud."""

    @classmethod
    def use_cloud(cls) -> clouds.Cloud:
        return cloud()


class RowsTest(TestCase):
    """Each row of the catalogue is true."""

    def present(self, path: Path) -> list[str]:
        """The components of a QEMU, asked in another way than our code."""
        there = emulator.types(path)
        return [
            name
            for name, row in catalogue.CATALOGUE.items()
            if any(fnmatch.filter(there, one) for one in row.types)
        ]

    def examined(self, path: Path) -> dict[str, list[str]]:
        """What the command says of a QEMU."""
        result = subprocess.run(
            [
                layouts.BIN / 'nova-isolation-manage',
                '--config-file',
                self.cloud.layout.nova_conf,
                'qemu',
                'examine',
                '--format',
                'json',
                path,
            ],
            capture_output=True,
            text=True,
            timeout=180,
            check=True,
        )
        found: dict[str, list[str]] = json.loads(result.stdout)
        return found

    def test_debian_has_them(self) -> None:
        there = self.present(compute_host.EMULATOR)
        self.assertEqual(len(EVERY) - 1, len(there), set(EVERY) - set(there))
        found = self.examined(compute_host.EMULATOR)
        self.assertEqual(there, found['present'])

    def test_none_is_left_of_what_qemu_builds_by_default(self) -> None:
        # Nothing but the rows' own symbols and features leaves them out.
        path = cache.emulator(
            self.cloud.supervisor, self.cloud.progress, cache.DEFAULTS
        )
        self.assertEqual([], self.present(path))
        found = self.examined(path)
        self.assertEqual([], found['present'])
        self.assertEqual(WORDS.split(','), found['hardening'])
        # The rest is there.
        self.assertGreater(len(emulator.types(path)), 400)

    def test_none_is_in_what_guests_need(self) -> None:
        path = self.cloud.hosts[STRIPPED].emulator()
        self.assertEqual([], self.present(path))
        found = self.examined(path)
        self.assertEqual(WORDS.split(','), found['hardening'])
        self.assertEqual(list(EVERY), found['absent'])
        self.assertLess(
            path.stat().st_size, compute_host.EMULATOR.stat().st_size * 0.6
        )


class GuestsTest(TestCase):
    """Guests that want no component."""

    def test_all(self) -> None:
        specs = {
            'isolation:qemu_absent': groups.ALL,
            'isolation:qemu_hardening': WORDS,
            'isolation:qemu_sandbox': 'true',
        }
        server = self.boot(specs)
        self.assertActive(server, STRIPPED)
        self.assertEvent(server, 'isolation_verify', 'Success')
        process = self.guests.process(server)
        self.assertTrue(process.runs(self.cloud.hosts[STRIPPED].emulator()))
        flavor = self.flavor(specs)
        self.assertNoValidHost(
            self.boot_flavor(flavor, availability_zone=f'nova:{base.HARDENED}')
        )
        self.assertExplained(
            flavor, 'isolation.qemu.component_present', 'virtio-gpu'
        )

    def test_every_group(self) -> None:
        server = self.boot({'isolation:qemu_absent': ','.join(groups.GROUPS)})
        self.assertActive(server, STRIPPED)

    def test_untagged(self) -> None:
        self.assertActive(self.boot(host=STRIPPED), STRIPPED)
