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

"""Loads Nova's functional tests. They keep their names of Nova."""

import typing
import unittest

from tests.upstream.functional import loading
from tests.upstream.functional import selection


def load_tests(
    loader: unittest.TestLoader, tests: object, pattern: typing.Any
) -> unittest.TestSuite:
    """The tests of Nova instead of those of this module, which has none."""
    return loading.load(loader, selection.EACH_RUN)
