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

Prints "PASSED FAILED SKIPPED". Ends with 1 where the stream holds no test,
so that a suite that was not found does not look like one that passed.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
import re
import sys
import typing

import subunit
import testtools

_PASSED = {'success', 'xfail'}
#: 'exists' is a listing, 'unknown' is output outside of any test.
_NO_TEST = {'exists', 'unknown'}


def outcomes(stream: typing.BinaryIO) -> list[tuple[str, str]]:
    """The tests that began, each with how it ended.

    :param stream: subunit, version 2
    :returns: a test's id and ``passed``, ``failed`` or ``skipped``. One that
        never ended (its worker died) has failed.
    """
    found: list[tuple[str, str]] = []

    def ended(test: typing.Any) -> None:
        status = test['status']
        if status in _PASSED:
            found.append((test['id'], 'passed'))
        elif status == 'skip':
            found.append((test['id'], 'skipped'))
        elif status not in _NO_TEST:
            found.append((test['id'], 'failed'))

    result = testtools.StreamToDict(ended)
    result.startTestRun()
    subunit.ByteStreamToStreamResult(stream, non_subunit_name='stdout').run(
        result
    )
    result.stopTestRun()
    return found


def count(tests: list[tuple[str, str]]) -> tuple[int, int, int]:
    """The numbers of tests that passed, failed and were skipped."""
    ends = [end for _, end in tests]
    return ends.count('passed'), ends.count('failed'), ends.count('skipped')


def selection(tests: list[tuple[str, str]]) -> Iterator[str]:
    """Regular expressions of the tests that failed, for stestr."""
    for name, end in tests:
        if end == 'failed':
            # Tempest blames the set-up of a class on a test of this name.
            fixture = re.fullmatch(r'(?:setUp|tearDown)Class \((.*)\)', name)
            yield (
                f'^{re.escape(fixture[1])}\\.'
                if fixture
                else f'^{re.escape(name)}$'
            )


def excused(
    tests: list[tuple[str, str]], stock: list[tuple[str, str]]
) -> set[str]:
    """Those that fail, and fail with stock Nova as well.

    A test that did not run with stock Nova has no excuse.
    """
    both = set(tests) & set(stock)
    return {name for name, end in both if end == 'failed'}


def main() -> int:
    """Count; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--failed',
        action='store_true',
        help='print what selects the failed ones instead; nothing is counted',
    )
    parser.add_argument(
        '--stock',
        type=Path,
        metavar='FILE',
        help='a stream of the failed ones with stock Nova; those that fail '
        'there too are told, and left out of the numbers',
    )
    arguments = parser.parse_args()
    tests = outcomes(sys.stdin.buffer)
    if arguments.failed:
        for line in selection(tests):
            print(line)
        return 0
    numbers = count(tests)
    if arguments.stock:
        with arguments.stock.open('rb') as stream:
            stock = excused(tests, outcomes(stream))
        for name in sorted(stock):
            sys.stderr.write(f'fails with stock Nova too: {name}\n')
        tests = [test for test in tests if test[0] not in stock]
        numbers = count(tests)
        for name, end in tests:
            if end == 'failed':
                sys.stderr.write(f'fails with ours only: {name}\n')
    print(*numbers)
    return 0 if sum(numbers) else 1


if __name__ == '__main__':
    sys.exit(main())
