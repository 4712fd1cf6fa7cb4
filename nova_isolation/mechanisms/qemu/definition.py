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

"""What the XML of a guest must have for this mechanism: nothing.

The libvirt hook reads this module, so it imports nothing that takes long.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from lxml import etree


def fits(
    domain: 'etree._Element', words: 'Mapping[str, Sequence[str]]'
) -> bool:
    """Return True; the mechanism does not write into the XML."""
    return True
