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

"""Contract suites and fakes for the tests of extensions of nova-isolation.

Every mechanism and every attestation provider must pass its contract suite.
The fakes are a host and a guest whose properties a test sets. This package is
part of the wheel and imports no package that only tests need. No production
service imports it, and no entry point names it.
"""
