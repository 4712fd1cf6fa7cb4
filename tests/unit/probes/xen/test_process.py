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

"""Tests of nova_isolation.probes.xen.process, wire and answers."""

import copy
import json
import os
import time
from unittest import mock

import hypothesis

from nova_isolation.probes.xen import answers
from nova_isolation.probes.xen import child
from nova_isolation.probes.xen import process
from nova_isolation.probes.xen import wire
from tests.unit import base
from tests.unit import strategies
from tests.unit.probes.xen import recorded

FLASK = recorded.FLASK
QUESTION = answers.Question(
    (FLASK + 'isolated_domU_t', FLASK + 'nosuch_t'),
    (
        (FLASK + 'drvdom_t', FLASK + 'isolated_domU_t'),
        (FLASK + 'isolated_domU_t', FLASK + 'isolated_domU_t'),
    ),
    recorded.QEMU,
)


class ReadTest(base.TestCase):
    """What the program says is taken whole, or not at all."""

    def test_recorded(self):
        answer = process.read(QUESTION, recorded.TEXT)
        self.assertEqual('enforcing', answer.hypervisor.flask)
        self.assertEqual(2, answer.domain(recorded.PV).id)
        self.assertIsNone(answer.domain('no such UUID'))
        self.assertEqual(
            [('console', 'console'), ('vbd', 'qdisk')],
            [(one.kind, one.driver) for one in answer.devices],
        )
        serves, isolated = answer.accesses
        self.assertTrue(serves.opens and serves.signals and serves.maps)
        self.assertTrue(serves.reaches)
        self.assertFalse(isolated.opens or isolated.maps or isolated.reaches)
        self.assertEqual(recorded.ANSWER, json.loads(wire.dumps(answer)))

    def test_each_permission_alone_reaches(self):
        for numbers in (
            (8, 1, 0),
            (0, 0, 1),
            (0, 0, 2),
            (0, 0, 8),
            (0, 0, 32),
        ):
            self.assertTrue(answers.Access('a', 'b', True, *numbers).reaches)
        # Own pages, and channels to which the other is not bound.
        for numbers in ((14, 0, 0), (0, 1, 0), (2, 1, 0), (0, 0, 16 + 64 + 4)):
            self.assertFalse(answers.Access('a', 'b', True, *numbers).reaches)
        self.assertTrue(answers.Access('a', 'b', False, 0, 0, 0).reaches)

    def test_two_domains_of_one_uuid(self):
        changed = copy.deepcopy(recorded.ANSWER)
        changed['domains'][2]['uuid'] = recorded.PV
        answer = process.read(QUESTION, json.dumps(changed))
        self.assertRaises(ValueError, answer.domain, recorded.PV)
        changed['domains'][2]['dying'] = True
        answer = process.read(QUESTION, json.dumps(changed))
        self.assertEqual(2, answer.domain(recorded.PV).id)

    def test_without_flask(self):
        changed = copy.deepcopy(recorded.ANSWER)
        changed['hypervisor'].update(flask='absent', seqno=0)
        self.refused(json.dumps(changed))
        changed.update(labels=[], accesses=[])
        answer = process.read(QUESTION, json.dumps(changed))
        self.assertEqual('absent', answer.hypervisor.flask)

    def refused(self, text):
        self.assertRaises((OSError, ValueError), process.read, QUESTION, text)

    def test_garbled(self):
        text = recorded.TEXT
        cut = [text[:end] for end in range(1, len(text), 41)]
        for wrong in ('', ' ', 'null', '[]', '{}', '1', f'{text}x', *cut):
            self.refused(wrong)

    def test_each_field_that_is_missing_or_of_another_type(self):
        def places(value, path=()):
            yield path
            items = (
                value.items() if isinstance(value, dict)
                else enumerate(value) if isinstance(value, list) else ()
            )  # fmt: skip
            for key, inner in items:
                yield from places(inner, (*path, key))

        for *path, last in filter(None, places(recorded.ANSWER)):
            for value in ('x', 7, True, None, [], {}, [1], 1.5):
                changed = copy.deepcopy(recorded.ANSWER)
                there = changed
                for key in path:
                    there = there[key]
                fits = last == 'canonical' and value in ('x', None)
                if fits or type(there[last]) is type(value):
                    continue
                there[last] = value
                self.refused(json.dumps(changed))
                if isinstance(there, dict):
                    del there[last]
                    self.refused(json.dumps(changed))

    @hypothesis.given(strategies.json_values)
    def test_any_json(self, value):
        self.refused(json.dumps(value))

    def test_answer_to_another_question(self):
        for other in (
            answers.Question(),
            answers.Question(QUESTION.labels[::-1], QUESTION.pairs),
            answers.Question(QUESTION.labels, QUESTION.pairs[:1]),
            answers.Question(QUESTION.labels, QUESTION.pairs[::-1]),
        ):
            self.assertRaises(ValueError, process.read, other, recorded.TEXT)

    def test_errors(self):
        for kind, error in (
            (PermissionError, [13, 'xc_interface_open']),
            (PermissionError, [1, 'no']),
            (FileNotFoundError, [2, 'no']),
            (OSError, [0, 'no']),
            (ValueError, [-1, 'no']),
            (ValueError, [13]),
            (ValueError, 'no'),
            (ValueError, ['13', 'no']),
        ):
            text = json.dumps({'error': error})
            self.assertRaises(kind, process.read, QUESTION, text)


class RunTest(base.TestCase):
    """The real program, on a host that has no Xen."""

    def test_host_without_xen(self):
        text = process.run(wire.dumps(QUESTION), 60)
        error = self.assertRaises(
            FileNotFoundError, process.read, QUESTION, text
        )
        self.assertIn('/sys/hypervisor/version/major', str(error))

    def program(self, text):
        path = os.path.join(self.create_tempdir(), 'child.py')
        with open(path, 'w', encoding='ascii') as file:
            file.write(text)
        self.useFixture(_Patch(child, '__file__', path))

    def create_tempdir(self):
        import fixtures

        return self.useFixture(fixtures.TempDir()).path

    def test_program_that_hangs(self):
        self.program('import time; time.sleep(600)')
        begun = time.monotonic()
        self.assertRaises(TimeoutError, process.run, '{}', 0.5)
        self.assertLess(time.monotonic() - begun, 30)

    def test_program_that_ends_by_a_signal(self):
        self.program('import os; os.kill(os.getpid(), 11)')
        error = self.assertRaises(OSError, process.run, '{}', 60)
        self.assertIn('-11', str(error))

    def test_program_that_prints_and_fails(self):
        self.program(f'print({recorded.TEXT!r}); raise SystemExit(1)')
        self.assertRaises(OSError, process.run, '{}', 60)

    def test_program_that_writes_what_is_no_text(self):
        self.program('import os; os.write(1, bytes(range(256)))')
        text = process.run('{}', 60)
        self.assertRaises(ValueError, process.read, QUESTION, text)


class _Patch:
    """A fixture: an attribute that is another one for a while."""

    def __init__(self, where, name, value):
        self._patch = mock.patch.object(where, name, value)

    def setUp(self):
        self._patch.start()

    def cleanUp(self):
        self._patch.stop()

    def getDetails(self):
        return {}
