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

import sys
import typing

import subunit
import testtools

#: A test that began and never ended (its worker died) has failed.
_PASSED = {'success', 'xfail'}


def count(stream: typing.BinaryIO) -> tuple[int, int, int]:
    """The numbers of tests that passed, failed and were skipped.

    :param stream: subunit, version 2
    """
    ended: list[str] = []
    result = testtools.StreamToDict(lambda test: ended.append(test['status']))
    result.startTestRun()
    subunit.ByteStreamToStreamResult(stream, non_subunit_name='stdout').run(
        result
    )
    result.stopTestRun()
    # 'exists' is a listing, 'unknown' is output outside of any test.
    tests = [s for s in ended if s not in ('exists', 'unknown')]
    passed = sum(s in _PASSED for s in tests)
    skipped = sum(s == 'skip' for s in tests)
    return passed, len(tests) - passed - skipped, skipped


if __name__ == '__main__':
    numbers = count(sys.stdin.buffer)
    print(*numbers)
    sys.exit(0 if sum(numbers) else 1)
