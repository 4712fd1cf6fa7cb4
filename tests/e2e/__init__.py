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

"""End-to-end tests on the real OpenStack of the lab, with real guests.

Run them with ``OS_TEST_PATH=./tests/e2e`` and one worker, because all tests
share one cloud. LAB_STATE names the state folder of a running cloud to use;
otherwise a cloud is started for the first test and stopped at the end.
"""
