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

"""Loads a selection of Nova's functional tests with ours in them."""

import unittest

from tests import databases
from tests.upstream import ours
from tests.upstream.functional import selection


def load(
    loader: unittest.TestLoader, chosen: tuple[str, ...]
) -> unittest.TestSuite:
    """Put ours in the places of Nova's, and load the tests.

    :param chosen: one of the two selections
    """
    databases.speed_up()
    ours.put_driver()
    ours.put_filter()
    ours.put_facts()
    return loader.loadTestsFromNames(selection.names(chosen))
