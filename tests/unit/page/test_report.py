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

"""The file that can be mailed."""

import datetime
import html.parser
import re

import hypothesis
from hypothesis import strategies as st

from nova_isolation.page import report
from nova_isolation.page import templates
from tests.unit import base
from tests.unit.page import cloud

_NOW = datetime.datetime(2026, 11, 26, 13, tzinfo=datetime.timezone.utc)

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            (
                'host', 'offers', 'refuses', 'isolation:svirt', 'fresh',
                'guarded', 'mode', 'code', 'attestation', 'violations',
                'extra_specs', 'near_misses', 'by_code', 'hosts', 'usable',
                'read_back', 'verified', 'proofs', 'unmet', 'findings',
                'subject', 'severity', 'checked', 'since', 'age_seconds',
            )
        ),
        inner,
        max_size=6,
    ),
    max_leaves=20,
)  # fmt: skip
_objects = st.dictionaries(
    st.sampled_from(('host', 'offers', 'refuses', 'fresh', 'extra_specs')),
    _json,
) | _json.filter(lambda value: isinstance(value, dict))


def render(audit=None, hosts=None, flavors=None, servers=None):
    return report.render(
        cloud.audit(10) if audit is None else audit,
        hosts=hosts,
        flavors=flavors,
        servers=servers,
        cloud='RegionOne',
        made_at=_NOW,
    )


class _Tags(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags = []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))


def tags(text):
    parser = _Tags()
    parser.feed(text)
    return parser.tags


class ReportTest(base.TestCase):
    def whole(self):
        return render(
            hosts=cloud.hosts(10),
            flavors=cloud.flavors(10),
            servers=cloud.servers(5),
        )

    def test_all_is_there(self):
        text = self.whole()
        for wanted in (
            'Isolation of RegionOne',
            '2026-11-26 13:00:00 UTC',
            'compute-0008',
            'isolation.svirt.no_model',
            'm1.attested',
            'Is <code>isolation:svirt</code> meant?',
            'web-2',
            'unconfined_t',
            'isolation.audit.violation',
        ):
            self.assertTrue(wanted in text, wanted)

    def test_nothing_is_loaded_and_only_its_own_script_runs(self):
        text = self.whole()
        found = tags(text)
        self.assertEqual(
            [], [a for _, a in found if 'src' in a or 'style' in a]
        )
        self.assertEqual([], [t for t, _ in found if t == 'link'])
        self.assertEqual(
            [],
            [a['href'] for _, a in found if a.get('href', '#')[0] != '#'],
        )
        policy = next(
            a['content']
            for t, a in found
            if a.get('http-equiv') == 'Content-Security-Policy'
        )
        (script,) = re.findall('<script>(.*?)</script>', text, re.S)
        (style,) = re.findall('<style>(.*?)</style>', text, re.S)
        self.assertIn(templates.digest(script), policy)
        self.assertIn(templates.digest(style), policy)
        self.assertIn("default-src 'none'", policy)

    def test_links_within_the_file_lead_somewhere(self):
        found = tags(self.whole())
        ids = [a['id'] for _, a in found if 'id' in a]
        self.assertEqual(len(ids), len(set(ids)))
        for _, attributes in found:
            if 'href' in attributes:
                self.assertIn(attributes['href'][1:], ids)

    def test_words_of_others_stay_text(self):
        evil = cloud.SCRIPT + '"\'&\x1b[0m\u202e'

        def poison(value):
            if isinstance(value, dict):
                return {
                    evil if key.startswith('isolation:') else key: poison(one)
                    for key, one in value.items()
                }
            if isinstance(value, list):
                return [poison(one) for one in value]
            return evil if isinstance(value, str) else value

        text = render(
            poison(cloud.audit(1)),
            poison(cloud.hosts(10)),
            poison(cloud.flavors(1)),
            poison(cloud.servers(5)),
        )
        self.assertEqual(1, [t for t, _ in tags(text)].count('script'))
        self.assertGreater(text.count('&lt;script&gt;'), 50)
        # Nothing turns the direction of what follows.
        self.assertEqual(0, text.count('\u202e') + text.count('\x1b'))

    def test_what_could_not_be_read_is_said(self):
        text = render({'unread_cells': [{'cell': 'c2', 'reason': 'gone'}]})
        self.assertEqual(3, text.count('nothing is known about it'))
        self.assertTrue('cell c2 could not be read' in text)

    @hypothesis.given(_objects, st.lists(_objects, max_size=2))
    def test_nothing_odd_ends_it(self, audit, items):
        text = render(audit, items, items, items)
        self.assertTrue(text.endswith('</html>'))

    def test_nothing_known_is_nothing_good(self):
        text = render({}, [{}], [{}], [{}])
        for good in (
            '<td class="yes"',
            '✓</span> verified',
            '✓</span> yes',
            'found nothing',
        ):
            self.assertFalse(good in text, good)
