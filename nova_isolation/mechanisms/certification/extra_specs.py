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

"""The extra specs of the mechanism certification."""

from nova_isolation.model import vocabulary

#: The mechanism asks nothing of the XML of a guest: there is no definition.py.
ANY_XML = True

ROWS = (
    vocabulary.ExtraSpec(
        'isolation:certification',
        pattern='[A-Z0-9_]+',
        several=True,
        condition=(
            'the host declares each of these certifications and was measured '
            'to be in the state that each of them presupposes'
        ),
        example='LSPP',
    ),
)
