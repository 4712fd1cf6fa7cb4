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

"""The flavors in Nova's API database."""

from collections.abc import Iterator
import typing

from nova import context as nova_context
from nova import exception
from nova import objects

from nova_isolation.report import asked
from nova_isolation.report import picture

#: How many flavors are read from the database at once.
_PAGE = 500


def find(flavor: str) -> picture.Flavor:
    """Return one flavor.

    :param flavor: its ID or name; an ID comes first
    :raises nova_isolation.report.asked.NoSuchFlavor: there is none
    """
    context = nova_context.get_admin_context()
    for look_up in (
        objects.Flavor.get_by_flavor_id,
        objects.Flavor.get_by_name,
    ):
        try:
            return _flavor(look_up(context, flavor))
        except (exception.FlavorNotFound, exception.FlavorNotFoundByName):
            continue
    raise asked.NoSuchFlavor(
        f'There is no flavor with the ID or name {flavor!r}; see "openstack '
        'flavor list --all".'
    )


def every() -> Iterator[picture.Flavor]:
    """Return all flavors, private ones too, sorted by ID.

    :raises Exception: the database cannot be read
    """
    context = nova_context.get_admin_context()
    marker = None
    while True:
        page = objects.FlavorList.get_all(
            context, filters={'is_public': None}, limit=_PAGE, marker=marker
        )
        yield from map(_flavor, page)
        if len(page) < _PAGE:
            return
        marker = page[-1].flavorid


def _flavor(found: typing.Any) -> picture.Flavor:
    return picture.Flavor(
        found.flavorid, found.name, dict(found.extra_specs or {})
    )
