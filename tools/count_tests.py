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

"""Count the tests in a subunit stream on standard input.

Prints "PASSED FAILED SKIPPED", and on standard error of each test that failed
how it ended. Ends with 1 where the stream holds no test, so that a suite that
was not found does not look like one that passed.
"""

import argparse
from collections.abc import Iterator
import io
from pathlib import Path
import re
import sys
import typing

import subunit
import testtools

#: A test's id and how it ended, see outcomes().
_Tests = list[tuple[str, str]]
#: testtools' own words about one test.
_Told = typing.Any
_PASSED = {'success', 'xfail'}
#: 'exists' is a listing, 'unknown' is output outside of any test.
_NO_TEST = {'exists', 'unknown'}
#: What is shown of a traceback.
_LINES = 8
_COLUMNS = 200


def outcomes(stream: typing.BinaryIO) -> _Tests:
    """The tests that began, each with how it ended.

    :param stream: subunit, version 2
    :returns: a test's id and ``passed``, ``failed`` or ``skipped``. One that
        never ended (its worker died) has failed.
    """
    return [(test['id'], _end(test)) for test in _tests(stream)]


def last_words(stream: typing.BinaryIO) -> Iterator[str]:
    """Of each test that failed its name and the end of its traceback.

    What is left of a long run is often the end of its output alone.
    """
    for test in _tests(stream):
        if _end(test) != 'failed':
            continue
        details = test['details']
        traces = [name for name in details if name.startswith('traceback')]
        text = b''.join(
            part
            for name in sorted(traces)
            for part in details[name].iter_bytes()
        ).decode(errors='replace')
        yield f'failed: {test["id"]}'
        for line in text.rstrip().splitlines()[-_LINES:]:
            yield f'    {line[:_COLUMNS]}'


def _tests(stream: typing.BinaryIO) -> list[_Told]:
    """The tests that began, as testtools tells of them."""
    found: list[_Told] = []
    result = testtools.StreamToDict(found.append)
    result.startTestRun()
    subunit.ByteStreamToStreamResult(stream, non_subunit_name='stdout').run(
        result
    )
    result.stopTestRun()
    return [test for test in found if test['status'] not in _NO_TEST]


def _end(test: _Told) -> str:
    """How a test ended."""
    if test['status'] in _PASSED:
        return 'passed'
    return 'skipped' if test['status'] == 'skip' else 'failed'


def count(tests: _Tests) -> tuple[int, int, int]:
    """The numbers of tests that passed, failed and were skipped."""
    ends = [end for _, end in tests]
    return ends.count('passed'), ends.count('failed'), ends.count('skipped')


def selection(tests: _Tests) -> Iterator[str]:
    """Regular expressions of the tests that failed, for stestr."""
    for name, end in tests:
        if end == 'failed':
            tests_of = _class(name)
            yield (
                f'^{re.escape(tests_of)}\\.'
                if tests_of
                else f'^{re.escape(name)}$'
            )


def judge(
    tests: _Tests, again: _Tests, stock: _Tests
) -> tuple[_Tests, list[str]]:
    """Judge those that failed by what came of them when they were run again.

    One that did not run again, or passes with stock Nova, has failed.

    :param again: the failed ones, with ours
    :param stock: those that failed once more, with stock Nova
    :returns: the tests that count, and what has to be told
    """
    judged, told = [], []
    for name, end in tests:
        if end == 'failed':
            ends = set(_ends(name, again))
            if 'passed' in ends and 'failed' not in ends:
                told.append(f'flaky, failed once and passed then: {name}')
                end = 'passed'
            elif 'failed' in _ends(name, stock):
                told.append(f'fails with stock Nova too: {name}')
                continue
            else:
                told.append(f'fails with ours only: {name}')
        judged.append((name, end))
    return judged, told


def _class(name: str) -> str | None:
    """The class that could not be set up, where that is what failed.

    Then there is a test of that name, and none of the class.
    """
    found = re.fullmatch(r'(?:setUp|tearDown)Class \((.*)\)', name)
    return found[1] if found else None


def _ends(name: str, tests: _Tests) -> list[str]:
    """How a test, or the tests of a class, ended in another run."""
    tests_of = _class(name)
    return [
        end
        for one, end in tests
        if one == name or (tests_of and one.startswith(f'{tests_of}.'))
    ]


def main() -> int:
    """Count; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--failed',
        action='store_true',
        help='print what selects the failed ones instead; nothing is counted',
    )
    parser.add_argument(
        '--judge',
        nargs=2,
        type=Path,
        metavar=('AGAIN', 'STOCK'),
        help='streams of those that failed, with ours and with stock Nova; '
        'those that fail with both are left out of the numbers. Standard '
        'error tells about each',
    )
    arguments = parser.parse_args()
    stream = sys.stdin.buffer.read()
    tests = outcomes(io.BytesIO(stream))
    if arguments.failed:
        for line in selection(tests):
            print(line)
        return 0
    if arguments.judge:
        runs = [
            outcomes(io.BytesIO(path.read_bytes())) for path in arguments.judge
        ]
        judged, told = judge(tests, *runs)
    else:
        judged, told = tests, list(last_words(io.BytesIO(stream)))
    for line in told:
        sys.stderr.write(f'{line}\n')
    print(*count(judged))
    return 0 if tests else 1


if __name__ == '__main__':
    sys.exit(main())
