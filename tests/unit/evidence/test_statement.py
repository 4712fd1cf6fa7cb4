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

import dataclasses
import json
import subprocess
import sys

import ddt
import hypothesis
from hypothesis import strategies
import jsonschema

from nova_isolation.evidence import errors
from nova_isolation.evidence import statement
from nova_isolation.evidence import statement_form
from nova_isolation.evidence import strict_json
from tests.unit import base
from tests.unit.evidence import samples

VALUES = (
    strategies.none()
    | strategies.booleans()
    | strategies.integers(-5, 2**33)
    | strategies.floats(allow_nan=False, allow_infinity=False)
    | strategies.sampled_from(['', 'x', 'tpm', 'audit', 'a' * 64, '\n', 'ü'])
    | strategies.just([])
    | strategies.just({})
    | strategies.just({'sha256': 'ab' * 32})
    | strategies.just([{'requirement': 'x', 'read': 'y'}])
)


def places(value, path=()):
    """The path of each member and item inside JSON values."""
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for name, one in inner:
        yield (*path, name)
        yield from places(one, (*path, name))


def changed(value, path, change):
    """A copy of JSON values in which one place is changed."""
    value = json.loads(json.dumps(value))
    where = value
    for name in path[:-1]:
        where = where[name]
    change(where, path[-1])
    return value


@ddt.ddt
class StatementTest(base.TestCase):
    @ddt.data(samples.OPERATOR, samples.OWNER)
    def test_round_trip(self, given):
        data = statement_form.dumps(given)
        self.assertEqual(given, statement_form.loads(data))
        self.assertEqual(
            data, statement_form.dumps(statement_form.loads(data))
        )

    @ddt.data(samples.OPERATOR, samples.OWNER)
    def test_schema(self, given):
        schema = statement_form.schema()
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.validate(json.loads(statement_form.dumps(given)), schema)

    def test_verified(self):
        self.assertTrue(samples.OPERATOR.verified)
        self.assertFalse(samples.OWNER.verified)
        half = samples.OPERATOR.proofs[:1]
        for other in ({'proofs': half}, {'proofs': ()}, {'requirements': {}}):
            given = dataclasses.replace(samples.OPERATOR, **other)
            self.assertFalse(given.verified)
            self.assertFalse(
                statement_form.loads(statement_form.dumps(given)).verified
            )

    @hypothesis.given(strategies.data())
    def test_reader_is_as_strict_as_the_schema(self, data):
        """Whatever the schema refuses, the reader refuses."""
        value = json.loads(statement_form.dumps(samples.OPERATOR))
        path = data.draw(
            strategies.sampled_from(sorted(places(value), key=str))
        )
        new = data.draw(VALUES)
        what = data.draw(strategies.sampled_from(['set', 'del', 'add']))

        def change(where, name):
            if what == 'set':
                where[name] = new
            elif what == 'del':
                del where[name]
            elif isinstance(where, dict):
                where['more'] = new
            else:
                where.append(new)

        other = changed(value, path, change)
        validator = jsonschema.Draft202012Validator(statement_form.schema())
        fits = validator.is_valid(other)
        try:
            statement_form.loads(strict_json.dumps(other))
        except errors.BadEvidence as error:
            if error.code is errors.Code.STATEMENT_TYPE:
                self.assertFalse(fits)
        else:
            self.assertTrue(fits, other)

    @ddt.data(
        ('verified', False),
        ('audience', 'owner'),
        ('host', None),
        ('nonce', 'short'),
        ('nonce', 'a-nonce\n'),
        ('nonce', 'x' * 129),
        ('started', '2026-11-26T12:00:00+00:00'),
        ('started', '\uff12026-11-26T12:00:00Z'),
        ('mode', 'off'),
        ('key', 'hsm'),
        ('version', ''),
        ('requestId', 'req\x1b[2J'),
        ('proofs', [{'requirement': 'x', 'read': 'y'}] * 257),
        ('requirements', {'isolation:svirt': 1}),
    )
    @ddt.unpack
    def test_refused(self, name, new):
        value = json.loads(statement_form.dumps(samples.OPERATOR))
        value['predicate'][name] = new
        with self.assertRaises(errors.BadEvidence) as caught:
            statement_form.loads(strict_json.dumps(value))
        self.assertEqual(errors.Code.STATEMENT, caught.exception.code)

    def test_other_version(self):
        data = statement_form.dumps(samples.OPERATOR).replace(
            b'confinement/v1', b'confinement/v2'
        )
        with self.assertRaises(errors.BadEvidence) as caught:
            statement_form.loads(data)
        self.assertEqual(errors.Code.STATEMENT_TYPE, caught.exception.code)

    def test_one_form(self):
        data = statement_form.dumps(samples.OPERATOR)
        value = json.loads(data)
        for other in (
            json.dumps(value).encode(),
            data + b'\n',
            data.replace(b'"file"', b'"\\u0066ile"'),
        ):
            self.assertEqual(value, json.loads(other))
            self.assertRaises(errors.BadEvidence, statement_form.loads, other)

    def test_writer_writes_nothing_that_no_reader_accepts(self):
        for other in (
            {'nonce': 'short'},
            {'host': None},
            {'version': 'two\nlines'},
            {
                'proofs': tuple(
                    statement.Proof('isolation:svirt', 'x' * 1000)
                    for _ in range(40)
                )
            },
        ):
            given = dataclasses.replace(samples.OPERATOR, **other)
            self.assertRaises(errors.BadEvidence, statement_form.dumps, given)


@ddt.ddt
class StrictJsonTest(base.TestCase):
    @ddt.data(
        (b'{"a":1,"a":1}', errors.Code.JSON),
        (b'{"a":NaN}', errors.Code.JSON),
        (b'{"a":-Infinity}', errors.Code.JSON),
        (b'\xff', errors.Code.JSON),
        (b'', errors.Code.JSON),
        (b'[' * 17 + b']' * 17, errors.Code.JSON),
        (b'[' * 9000 + b']' * 9000, errors.Code.JSON),
        (b'1' * 20001, errors.Code.SIZE),
    )
    @ddt.unpack
    def test_refused(self, data, code):
        with self.assertRaises(errors.BadEvidence) as caught:
            strict_json.loads(data, 20000)
        self.assertEqual(code, caught.exception.code)

    def test_accepted(self):
        deepest = b'[' * 16 + b']' * 16
        self.assertIsInstance(strict_json.loads(deepest, 32), list)


class RoomTest(base.TestCase):
    def test_needs_nothing_else(self):
        """A third party imports the room with two libraries beside it."""
        script = (
            'import sys\n'
            'import nova_isolation.evidence.envelope\n'
            'print(*sorted({n.split(".")[0] for n in sys.modules}))\n'
        )
        found = subprocess.run(
            [sys.executable, '-c', script],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout.split()
        self.assertIn('securesystemslib', found)
        foreign = {'nova', 'oslo_config', 'oslo_log', 'lxml', 'requests'}
        self.assertEqual(set(), foreign & set(found))
