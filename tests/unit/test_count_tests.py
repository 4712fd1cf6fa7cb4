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

"""How tools/test.sh counts: what is excused, and what never is."""

import importlib.util
import io
from pathlib import Path
import unittest

from subunit import v2

_PATH = Path(__file__).parents[2] / 'tools' / 'count_tests.py'
_SPEC = importlib.util.spec_from_file_location('count_tests', _PATH)
assert _SPEC and _SPEC.loader
count_tests = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(count_tests)


def stream(**tests: str) -> io.BytesIO:
    """A stream of tests, each with its last status."""
    written = io.BytesIO()
    result = v2.StreamResultToBytes(written)
    for name, status in tests.items():
        result.status(test_id=name, test_status='inprogress')
        if status != 'inprogress':
            result.status(test_id=name, test_status=status)
    return io.BytesIO(written.getvalue())


class OutcomesTest(unittest.TestCase):
    def test_each_end(self) -> None:
        tests = count_tests.outcomes(
            stream(a='success', b='xfail', c='fail', d='uxsuccess', e='skip')
        )
        self.assertEqual((2, 2, 1), count_tests.count(tests))

    def test_a_test_whose_worker_died_has_failed(self) -> None:
        tests = count_tests.outcomes(stream(a='success', b='inprogress'))
        self.assertEqual((1, 1, 0), count_tests.count(tests))

    def test_a_listing_is_no_test(self) -> None:
        written = io.BytesIO()
        v2.StreamResultToBytes(written).status(
            test_id='a', test_status='exists'
        )
        written.seek(0)
        self.assertEqual([], count_tests.outcomes(written))

    def test_the_last_words_of_those_that_failed(self) -> None:
        written = io.BytesIO()
        result = v2.StreamResultToBytes(written)
        for name, status in (('a', 'success'), ('b', 'fail')):
            result.status(
                test_id=name,
                file_name='traceback',
                # Not UTF-8, as what a program prints may be.
                file_bytes=b'one\n' * 20 + b'AssertionError: \xff != 2\n',
                mime_type='text/x-traceback; charset="utf8"',
                eof=True,
            )
            result.status(test_id=name, test_status=status)
        result.status(test_id='c', test_status='inprogress')
        written.seek(0)
        self.assertEqual(
            [
                'failed: b',
                *(['    one'] * 7),
                '    AssertionError: \ufffd != 2',
                'failed: c',
            ],
            list(count_tests.last_words(written)),
        )


class JudgeTest(unittest.TestCase):
    def judge(
        self, ours: str, again: str = '', stock: str = '', name: str = 'a.B.c'
    ) -> tuple[list[tuple[str, str]], list[str]]:
        return count_tests.judge(
            [(name, ours)],
            [('a.B.c', again)] if again else [],
            [('a.B.c', stock)] if stock else [],
        )

    def test_fails_with_both(self) -> None:
        self.assertEqual(
            ([], ['fails with stock Nova too: a.B.c']),
            self.judge('failed', 'failed', 'failed'),
        )

    def test_fails_with_ours_only(self) -> None:
        for again in ('failed', 'skipped', ''):
            for stock in ('passed', 'skipped', ''):
                self.assertEqual(
                    ([('a.B.c', 'failed')], ['fails with ours only: a.B.c']),
                    self.judge('failed', again, stock),
                )

    def test_flaky(self) -> None:
        self.assertEqual(
            (
                [('a.B.c', 'passed')],
                ['flaky, failed once and passed then: a.B.c'],
            ),
            self.judge('failed', 'passed'),
        )

    def test_did_not_fail(self) -> None:
        for end in ('passed', 'skipped'):
            self.assertEqual(([('a.B.c', end)], []), self.judge(end))

    def test_a_class_that_could_not_be_set_up(self) -> None:
        name = 'setUpClass (a.B)'
        for again, stock, counted in (
            ('passed', '', [(name, 'passed')]),
            ('failed', 'passed', [(name, 'failed')]),
            ('failed', 'failed', []),
            ('', '', [(name, 'failed')]),
        ):
            judged, _ = self.judge('failed', again, stock, name)
            self.assertEqual(counted, judged)

    def test_of_another_class(self) -> None:
        judged, _ = self.judge('failed', 'passed', name='setUpClass (a.Bc)')
        self.assertEqual([('setUpClass (a.Bc)', 'failed')], judged)


class SelectionTest(unittest.TestCase):
    def test_those_that_failed(self) -> None:
        tests = [('a.b', 'failed'), ('a.c', 'passed'), ('a.d', 'skipped')]
        self.assertEqual([r'^a\.b$'], list(count_tests.selection(tests)))

    def test_a_class_that_could_not_be_set_up(self) -> None:
        tests = [('setUpClass (a.B)', 'failed')]
        self.assertEqual([r'^a\.B\.'], list(count_tests.selection(tests)))
