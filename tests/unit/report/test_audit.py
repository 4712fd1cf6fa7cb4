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

"""Each kind of findings: a cloud that has it, and one that does not."""

import dataclasses

from nova_isolation.model import facts
from nova_isolation.report import audit
from nova_isolation.report import audit_kinds
from nova_isolation.report import explanation
from nova_isolation.report import picture
from nova_isolation.report import server as servers
from tests.unit import base
from tests.unit import strategies
from tests.unit.service import fakes

_FILTERS = ('ComputeFilter', 'IsolationFilter')
_VIOLATED = facts.dumps({**strategies.STRONG, 'svirt': facts.violated()})
GUARDED = frozenset({'CUSTOM_ISOLATION_GUARDED'})


def server(host='a', events=(), **specs):
    """A server of a tagged flavor."""
    return servers.Server(
        'uuid-1',
        'web',
        'p1',
        host,
        'active',
        'm1.secure',
        {f'isolation:{k}': v for k, v in (specs or {'svirt': 'any'}).items()},
        events=tuple(events),
    )


def event(name, result, details=''):
    """An event about a server."""
    return servers.Event(
        name, result, '2026-11-26T12:00:00Z', 'req-1', details
    )


def bare(host='a', **kwargs):
    """A host with Nova's own driver."""
    return dataclasses.replace(fakes.node(host, **kwargs), stats={})


class TestCase(base.TestCase):
    def findings(self, filters=_FILTERS, **seen):
        """What an audit finds in a cloud that is as given, otherwise fine."""
        cloud = fakes.cloud(**{'traits': {}, **seen})
        return audit.findings(
            audit.Cloud(
                cloud,
                fakes.rules(),
                explanation.Moment(cloud.read_at),
                audit.Configuration(filters),
            )
        )

    def assertFinds(self, kind, subject, words, **seen):
        """It finds one thing, of this kind."""
        (found,) = self.findings(**seen)
        self.assertEqual(kind.code, found.kind.code)
        self.assertEqual(subject, (found.subject, found.id, found.name))
        self.assertIn(words, found.detail)

    def assertFine(self, **seen):
        """It finds nothing."""
        self.assertEqual([], self.findings(**seen))


class ServerTest(TestCase):
    SUBJECT = ('server', 'uuid-1', 'web')

    def test_unguarded(self):
        self.assertFinds(
            audit_kinds.SERVER_UNGUARDED,
            self.SUBJECT,
            'host a publishes no facts; the server asks for '
            'isolation:svirt=any',
            nodes=[bare()],
            servers=[server()],
        )
        self.assertFinds(
            audit_kinds.SERVER_UNGUARDED,
            self.SUBJECT,
            'host gone has no compute node',
            nodes=[fakes.node('a')],
            servers=[server('gone')],
        )
        self.assertFine(nodes=[fakes.node('a')], servers=[server()])
        # A shelved one is on no host.
        self.assertFine(nodes=[bare()], servers=[server('')])

    def test_audited(self):
        found = self.findings(
            nodes=[fakes.node('a', mode='audit')], servers=[server()]
        )
        self.assertEqual(
            ['isolation.audit.server_audited', 'isolation.audit.host_audits'],
            [one.kind.code for one in found],
        )
        self.assertFine(nodes=[fakes.node('a')], servers=[server()])

    def test_violates(self):
        bad = event(
            servers.REVERIFY,
            'Error',
            'The running guest violates its isolation requirements: '
            'isolation:svirt: wanted any, found none [isolation.svirt.off]',
        )
        self.assertFinds(
            audit_kinds.SERVER_VIOLATES,
            self.SUBJECT,
            '2026-11-26T12:00:00Z: isolation.svirt.off',
            nodes=[fakes.node('a')],
            servers=[server(events=[bad])],
        )
        for later in (
            event(servers.REVERIFY, 'Success'),
            event(servers.VERIFY, 'Success'),
        ):
            self.assertFine(
                nodes=[fakes.node('a')], servers=[server(events=[later, bad])]
            )
        # A refused start is no violation: the guest does not run.
        refused = event(servers.VERIFY, 'Error', bad.details)
        self.assertFine(
            nodes=[fakes.node('a')], servers=[server(events=[refused])]
        )


class FlavorTest(TestCase):
    def flavor(self, **specs):
        return picture.Flavor('1', 'm1.secure', specs)

    def test_mistyped(self):
        for key, meant in (
            ('isolatiom:svirt', 'isolation:svirt'),
            ('islation:qemu_sandbox', 'isolation:qemu_sandbox'),
            ('isolations:svirt', 'isolation:svirt'),
            ('isolation_svirt', 'isolation:svirt'),
            ('Isolation.svirt', 'isolation:svirt'),
        ):
            self.assertFinds(
                audit_kinds.FLAVOR_MISTYPED,
                ('flavor', '1', 'm1.secure'),
                f'{key} is no extra spec of nova-isolation; {meant} may be',
                flavors=[self.flavor(**{key: 'any'})],
            )
        for key in (
            'isolation:svirt',
            'hw:cpu_policy',
            'isolation_foo:bar',
            'trait:CUSTOM_ISOLATION_GUARDED',
            'insulation_of_mine',
            'quota:isolation',
        ):
            self.assertFine(flavors=[self.flavor(**{key: 'any'})])

    def test_invalid(self):
        for specs, words in (
            ({'isolation:svrit': 'any'}, 'isolation.spec.unknown'),
            ({'isolation:svirt': 'always'}, 'isolation.spec.invalid_value'),
            ({'ISOLATION:svirt': 'any'}, 'isolation.spec.unknown'),
        ):
            self.assertFinds(
                audit_kinds.FLAVOR_INVALID,
                ('flavor', '1', 'm1.secure'),
                words,
                flavors=[self.flavor(**specs)],
            )
        self.assertFine(flavors=[self.flavor(**{'isolation:svirt': 'any'})])


class HostTest(TestCase):
    def assertHost(self, kind, words, node):
        self.assertFinds(kind, ('host', 'a', 'a'), words, nodes=[node])

    def test_audits(self):
        for mode, words in (('audit', 'mode audit'), (None, 'no published')):
            self.assertHost(
                audit_kinds.HOST_AUDITS, words, fakes.node('a', mode=mode)
            )
        self.assertFine(nodes=[fakes.node('a')])
        # Nova's own driver audits nothing.
        self.assertFine(nodes=[bare()])

    def test_violated(self):
        self.assertHost(
            audit_kinds.HOST_VIOLATED,
            'violated: svirt',
            fakes.node('a', document=_VIOLATED),
        )
        self.assertFine(nodes=[fakes.node('a')])

    def test_schema(self):
        for document, words in (
            ('{"v":2}', 'isolation.facts.newer_schema'),
            ('{"v":', 'isolation.facts.malformed'),
            ('[]', 'isolation.facts.malformed'),
        ):
            self.assertHost(
                audit_kinds.HOST_SCHEMA,
                words,
                fakes.node('a', document=document),
            )
        self.assertFine(nodes=[fakes.node('a')])

    def test_stale(self):
        self.assertHost(
            audit_kinds.HOST_STALE,
            's old, 180 s are allowed',
            fakes.node('a', age=1000),
        )
        self.assertHost(
            audit_kinds.HOST_STALE, 's old', fakes.node('a', age=-1000)
        )
        timeless = fakes.node('a')
        stats = {**timeless.stats, facts.TIME_STAT: 'now'}
        self.assertHost(
            audit_kinds.HOST_STALE,
            'missing or malformed',
            dataclasses.replace(timeless, stats=stats),
        )
        self.assertFine(nodes=[fakes.node('a', age=100)])
        # A dead host is Nova's to report.
        self.assertFine(nodes=[fakes.node('a', 'is down', age=1000)])

    def test_traits(self):
        self.assertFinds(
            audit_kinds.TRAITS_STALE,
            ('host', 'a', 'a'),
            'CUSTOM_ISOLATION_GUARDED',
            nodes=[bare()],
            traits={'uuid-of-a': GUARDED},
        )
        self.assertFine(
            nodes=[fakes.node('a'), bare('b')],
            traits={'uuid-of-a': GUARDED, 'uuid-of-b': frozenset()},
        )


class UnknownTest(TestCase):
    """What cannot be known is told, and not guessed."""

    def test_filter(self):
        subject = ('service', 'nova-scheduler', 'nova-scheduler')
        self.assertFinds(
            audit_kinds.FILTER_DISABLED,
            subject,
            'enabled_filters is ComputeFilter',
            filters=('ComputeFilter',),
        )
        self.assertFinds(
            audit_kinds.FILTER_UNKNOWN, subject, 'not set here', filters=None
        )
        self.assertFine(filters=_FILTERS)

    def test_traits(self):
        self.assertFinds(
            audit_kinds.TRAITS_UNKNOWN,
            ('service', 'placement', 'placement'),
            'HTTP 401',
            traits=None,
            traits_trouble='HTTP 401',
        )
        self.assertFine(traits={})

    def test_cell(self):
        self.assertFinds(
            audit_kinds.CELL_UNREAD,
            ('service', 'c2', 'c2'),
            'DBConnectionError',
            unread=[picture.UnreadCell('c2', 'DBConnectionError')],
        )
        self.assertFine(unread=[])


class JsonTest(TestCase):
    def test_errors_first_and_words_of_others(self):
        bad = dataclasses.replace(server(), name='web\n\x1b[2J')
        found = self.findings(
            nodes=[bare(), fakes.node('b', mode='audit')],
            servers=[bad],
            flavors=[picture.Flavor('1', 'f', {'isolatiom:svirt': 'any'})],
        )
        self.assertEqual(
            ['error', 'error', 'warning'], [o.kind.severity for o in found]
        )
        cloud = audit.Cloud(
            fakes.cloud([bare(), bare('b')], servers=[bad]),
            fakes.rules(),
            explanation.Moment(0.0),
            audit.Configuration(),
        )
        answer = audit.as_json(cloud, found)
        self.assertEqual(
            {'hosts': 2, 'flavors': 0, 'servers': 1}, answer['checked']
        )
        names = {one['subject']['name'] for one in answer['findings']}
        self.assertIn(r'web\n\x1b[2J', names)
        for one in answer['findings']:
            self.assertTrue(one['remedy'])

    def test_codes_are_of_one_form(self):
        for code, kind in audit_kinds.KINDS.items():
            self.assertRegex(code, r'^isolation\.audit\.[a-z_]+$')
            self.assertIn(
                kind.severity, (audit_kinds.ERROR, audit_kinds.WARNING)
            )
        # Each kind has a test here that finds it.
        with open(__file__) as stream:
            text = stream.read()
        for name, kind in vars(audit_kinds).items():
            if isinstance(kind, audit_kinds.Kind):
                self.assertTrue(
                    f'audit_kinds.{name},' in text or kind.code in text, name
                )
