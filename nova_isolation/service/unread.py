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
"""What an answer says about cells whose databases could not be read."""

from nova_isolation.report import picture
from nova_isolation.service.endpoint import typed

#: The schema of ``unread_cells``.
SCHEMA = typed(
    'array',
    items=typed(
        'object',
        properties={'cell': typed('string'), 'reason': typed('string')},
        required=['cell', 'reason'],
    ),
)


def as_json(seen: picture.Picture) -> list[dict[str, str]]:
    """Return the cells that could not be read, as JSON values."""
    return [{'cell': one.cell, 'reason': one.reason} for one in seen.unread]


def hint(seen: picture.Picture) -> str:
    """Return the end of a message that something was not found."""
    if not seen.unread:
        return ''
    cells = ', '.join(one.cell for one in seen.unread)
    return f'. These cells could not be read, so it may be there: {cells}'
