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

"""Profiles: those that are shipped, an admin's own, and files that are bad."""

from pathlib import Path

import ddt
import fixtures

from nova_isolation.mechanisms import registry
from nova_isolation.mechanisms.certification import mechanism
from nova_isolation.model import requirements
from nova_isolation.profiles import library
from nova_isolation.profiles import profile
from tests.unit import base

_GOOD = """\
summary: A test.
buys:
  - what: nothing
    against: nobody
lacks:
  - All.
extra_specs:
  isolation:svirt: selinux
"""


class ShippedTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.library = library.Library(registry.get().vocabulary)

    def test_all_are_valid(self):
        names = self.library.names()
        self.assertLessEqual(
            {
                'alice-private-cloud', 'bob-public-cloud', 'hardened',
                'confined', 'attested',
            },
            set(names),
        )  # fmt: skip
        for name in names:
            loaded = self.library.load(name)
            self.assertEqual('shipped', loaded.source)
            parsed = requirements.parse(
                loaded.extra_specs, registry.get().vocabulary
            )
            self.assertEqual(
                sorted(loaded.extra_specs), sorted(r.key for r in parsed.items)
            )

    def test_alice_says_which_profile_is_for_xen(self):
        # A guest of Xen has no QEMU that sVirt could confine.
        alice = self.library.load('alice-private-cloud')
        self.assertIn('alice-xen-cloud', ' '.join(alice.lacks))
        self.assertIn('isolation:svirt', alice.extra_specs)
        xen = self.library.load('alice-xen-cloud')
        self.assertEqual('xen', xen.extra_specs['isolation:hypervisor'])
        self.assertNotIn('isolation:svirt', xen.extra_specs)
        self.assertLessEqual(
            {k for k in registry.get().vocabulary.rows if ':xsm' in k},
            set(xen.extra_specs),
        )

    def test_bob_asks_for_nothing_that_excludes_itself(self):
        bob = self.library.load('bob-public-cloud')
        self.assertEqual('apparmor', bob.extra_specs['isolation:svirt'])
        self.assertNotIn('isolation:certification', bob.extra_specs)
        self.assertIn('selinux_mls', mechanism.CERTIFICATIONS['LSPP'])


@ddt.ddt
class OwnTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = Path(self.useFixture(fixtures.TempDir()).path)
        self.library = library.Library(
            registry.get().vocabulary, [self.folder, self.folder / 'missing']
        )

    def write(self, name, text):
        (self.folder / name).write_text(text)

    def test_beside_the_shipped_ones(self):
        self.write('mine.yaml', _GOOD)
        self.write('README', 'no profile')
        self.assertIn('mine', self.library.names())
        self.assertNotIn('README', self.library.names())
        mine = self.library.load('mine')
        self.assertEqual({'isolation:svirt': 'selinux'}, mine.extra_specs)
        self.assertEqual(str(self.folder / 'mine.yaml'), mine.source)
        self.assertEqual((profile.Benefit('nothing', 'nobody'),), mine.buys)

    def test_a_shipped_name_is_refused(self):
        self.write('hardened.yaml', _GOOD)
        self.assertRaisesText(
            profile.ProfileError, 'there twice.*Rename', self.library.load,
            'hardened',
        )  # fmt: skip

    def test_unknown(self):
        self.assertRaisesText(
            profile.ProfileError,
            "no profile 'hardend'. There are: .*hardened",
            self.library.load,
            'hardend',
        )

    def test_one_that_is_bad_leaves_the_others(self):
        self.write('bad.yaml', 'a: [')
        self.assertIn('bad', self.library.names())
        self.library.load('hardened')
        self.assertRaisesText(
            profile.ProfileError, 'bad.yaml.*not valid', self.library.load,
            'bad',
        )  # fmt: skip

    def test_an_unreadable_folder(self):
        file = self.folder / 'file'
        file.touch()
        self.assertRaisesText(
            profile.ProfileError,
            'cannot be read',
            library.Library(registry.get().vocabulary, [file]).names,
        )

    def test_no_utf_8(self):
        (self.folder / 'bad.yaml').write_bytes(b'\xff\xfe\x00')
        self.assertRaisesText(
            profile.ProfileError, 'cannot be read', self.library.load, 'bad'
        )

    @ddt.named_data(
        ('value', 'selinux', 'selinx', 'isolation.spec.invalid_value'),
        ('key', 'svirt:', 'svrit:', 'isolation.spec.unknown'),
        ('reserved', 'svirt:', 'memory:', 'isolation.spec.reserved'),
        ('namespace', 'isolation:', 'isolatiom:', 'no extra spec in'),
        ('others', 'isolation:', 'hw:', 'no extra spec in'),
        ('conflict', ': selinux', '_type: svirt_t', 'isolation.spec.conflict'),
        ('list', 'isolation:svirt: selinux', '[1, 2]', 'no mapping'),
        ('nothing', '  isolation:svirt: selinux', '  {}', 'no mapping'),
        (
            'twice',
            'svirt: selinux',
            'svirt: selinux\n  isolation:svirt: any',
            "'isolation:svirt' twice",
        ),
        ('several', 'selinux', '[selinux]', 'isolation.spec.invalid_value'),
        ('no_summary', ': A test.', ':', 'in the place of a sentence'),
        ('summary', ': A test.', ': [a]', 'in the place of a sentence'),
        ('keys', 'summary', 'sumary', 'exactly the keys'),
        ('buys', '    against: nobody\n', '', '"buys" is no list'),
        ('lacks', '  - All.', '  {}', '"lacks" is no list'),
        ('no_lacks', '  - All.', '  []', 'must not be empty'),
        ('long', 'A test.', 'x' * 70000, 'longer than'),
        ('odd_key', 'extra_specs:', '? {a: b}\n: c\nextra_specs:', ''),
        ('nested', _GOOD, '[' * 5000, ''),
        ('empty', _GOOD, '', 'exactly the keys'),
        ('no_mapping', _GOOD, '- a', 'exactly the keys'),
    )
    @ddt.unpack
    def test_refused(self, good, bad, why):
        self.assertIn(good, _GOOD)
        self.write('mine.yaml', _GOOD.replace(good, bad))
        self.assertRaisesText(
            profile.ProfileError,
            f"The profile 'mine' .*mine.yaml.*not valid: .*{why}",
            self.library.load,
            'mine',
        )

    def test_tags_of_python_make_nothing_but_texts(self):
        self.write(
            'mine.yaml',
            _GOOD.replace('A test.', '!!python/object/apply:os.abort ""'),
        )
        self.assertRaises(profile.ProfileError, self.library.load, 'mine')

    @ddt.data('Mine', 'a b', '-x', 'a_b')
    def test_names(self, name):
        self.write(f'{name}.yaml', _GOOD)
        self.assertRaisesText(
            profile.ProfileError, 'its name', self.library.load, name
        )

    def test_booleans_and_numbers_need_no_quotation_marks(self):
        self.write(
            'mine.yaml',
            _GOOD.replace(
                'isolation:svirt: selinux',
                'isolation:attested: true\n'
                '  isolation:attested_max_age: 60\n'
                '  isolation:attested_pcrs: 17,18',
            ),
        )
        self.assertEqual(
            {
                'isolation:attested': 'true',
                'isolation:attested_max_age': '60',
                'isolation:attested_pcrs': '17,18',
            },
            self.library.load('mine').extra_specs,
        )
