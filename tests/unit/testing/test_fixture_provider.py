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


import os
import pathlib
import time
import types

import fixtures

from nova_isolation.attestation import provider
from nova_isolation.attestation import snapshot
from nova_isolation.mechanisms.attested import attestation_result
from nova_isolation.testing import fixture_provider
from nova_isolation.testing import provider_contract
from tests.unit import base
from tests.unit import entry_points


class FixtureTest(provider_contract.ProviderContract, base.TestCase):
    """The file for consumers' tests."""

    name = 'fixture'
    provider_class = fixture_provider.FixtureProvider

    def setUp(self):
        super().setUp()
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.path = folder / 'verdicts.json'
        self.useFixture(entry_points.FixtureProvider())

    def own(self):
        return {'file': str(self.path)}

    def write(self, data):
        """As another file, so that it is seen at once."""
        new = self.path.with_suffix('.new')
        new.write_bytes(data)
        new.rename(self.path)

    def say(self, said):
        self.write(
            snapshot.dumps(
                snapshot.Snapshot(
                    verdicts={
                        host: snapshot.Verdict(
                            attestation_result.dumps(
                                attestation_result.AttestationResult(
                                    state,
                                    '' if state == 'good' else 'bad',
                                )
                            ),
                            None if age is None else -age,
                            0,
                            f'agent of {host}',
                            'a file',
                        )
                        for host, (state, age) in said.items()
                    }
                )
            ).encode()
        )

    def broken(self):
        good = self.path.read_bytes()
        for way, data in (
            ('empty', b''),
            ('cut short', good[:-10]),
            ('no JSON', b'verdict: good'),
            ('another schema', good.replace(b'"v":1', b'"v":2')),
            ('a time that is none', good.replace(b'-', b'"-"')),
        ):
            self.write(data)
            yield way
        self.path.unlink()
        yield 'absent'
        self.path.mkdir()
        yield 'a folder'
        self.path.rmdir()

    def test_file_is_not_named(self):
        self.assertRaisesText(
            provider.ProviderError,
            '[isolation_attestation_fixture] file',
            fixture_provider.FixtureProvider,
            types.SimpleNamespace(),
            types.SimpleNamespace(file=''),
        )

    def test_negative_times_count_from_the_change(self):
        self.good(10.0)
        os.utime(self.path, (1000, 1000))
        found = self.make().fetch(snapshot.Snapshot())
        self.assertEqual(990, found.verdicts['host1'].good_at)

    def test_other_times_are_as_they_are(self):
        self.good(-5.0)
        found = self.make().fetch(snapshot.Snapshot())
        self.assertEqual(5, found.verdicts['host1'].good_at)

    def test_nothing_new(self):
        self.good(1.0)
        asked = self.make()
        first = asked.fetch(snapshot.Snapshot())
        self.assertIs(first, asked.fetch(first))
        time.sleep(0.01)
        self.good(1.0)
        self.assertIsNot(first, asked.fetch(first))
