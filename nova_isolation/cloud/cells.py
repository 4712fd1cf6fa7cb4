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
"""The cells of the cloud, and the account with which they are read."""

import typing
import urllib.parse

from nova import context as nova_context
from nova import objects

from nova_isolation.model import errors


class CellConnectionError(errors.IsolationError):
    """``[isolation_api] cell_connection`` cannot be used."""


def every(template: str = '') -> list[typing.Any]:
    """Return Nova's mappings of all cells.

    :param template: the connection to the database of each cell, see
        :func:`connection`; '': that of the mapping
    :raises CellConnectionError: the template cannot be used
    :raises Exception: the API database cannot be read
    """
    found: list[typing.Any] = list(
        objects.CellMappingList.get_all(nova_context.get_admin_context())
    )
    if template:
        for cell in found:
            cell.database_connection = connection(
                template, cell.database_connection
            )
    return found


def connection(template: str, mapped: str) -> str:
    """Return the connection to the database of a cell.

    The names are those of Nova's own templates
    (nova.objects.cell_mapping.CellMapping).

    :param template: e.g. ``mysql+pymysql://reader:SECRET@{hostname}/{path}``
    :param mapped: the connection of the cell mapping
    :raises CellConnectionError: the template cannot be used; the message
        contains neither of the two
    """
    try:
        parts = urllib.parse.urlparse(mapped)
        return template.format(
            scheme=parts.scheme,
            username=parts.username or '',
            password=parts.password or '',
            hostname=parts.hostname or '',
            port=parts.port or '',
            path=parts.path.lstrip('/'),
            query=parts.query,
            fragment=parts.fragment,
        )
    except (ValueError, KeyError, IndexError, AttributeError) as error:
        raise CellConnectionError(
            '[isolation_api] cell_connection cannot be filled in from a cell '
            f'mapping: {type(error).__name__}. Wanted a URL in which only '
            '{scheme}, {username}, {password}, {hostname}, {port}, {path}, '
            '{query} and {fragment} are in braces.'
        ) from None
