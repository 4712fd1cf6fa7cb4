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

"""The servers of tagged flavors in Nova's databases, with their events."""

from collections.abc import Sequence
import datetime
import typing

from nova import context as nova_context
from nova import objects
from nova.db.main import api as main_db
from nova.db.main import models
import sqlalchemy as sa

from nova_isolation.cloud import compute_nodes
from nova_isolation.model import requirements
from nova_isolation.report import server

#: How many servers are read from a database at once.
_PAGE = 200

#: The most events that are reported of one server, the newest ones.
_MAX_EVENTS = 50


def of_cell(cell: typing.Any) -> list[server.Server]:
    """Return the servers of tagged flavors of a cell, sorted by ID.

    :param cell: Nova's mapping of the cell
    :raises Exception: the database of the cell cannot be read
    """
    name = compute_nodes.cell_name(cell)
    with nova_context.target_cell(
        nova_context.get_admin_context(), cell
    ) as context:
        uuids = _maybe_tagged(context)
        found: list[server.Server] = []
        for begin in range(0, len(uuids), _PAGE):
            instances: typing.Any = objects.InstanceList.get_by_filters(
                context,
                {'uuid': uuids[begin : begin + _PAGE], 'deleted': False},
                expected_attrs=['flavor'],
            )
            found += of_instances(
                context,
                [
                    one
                    for one in instances
                    if requirements.is_tagged(one.flavor.extra_specs)
                ],
                name,
            )
    return sorted(found, key=lambda one: one.uuid)


def of_instances(
    context: typing.Any, instances: Sequence[typing.Any], cell: str
) -> list[server.Server]:
    """Return servers with their events.

    :param context: targeted at the cell
    :param instances: Nova's instances, with their flavors
    :param cell: the name of the cell
    """
    events = _events(context, [one.uuid for one in instances])
    return [
        server.Server(
            one.uuid,
            one.display_name or '',
            one.project_id or '',
            one.host or '',
            one.vm_state or '',
            one.flavor.name,
            dict(one.flavor.extra_specs or {}),
            cell,
            tuple(events.get(one.uuid, ())),
        )
        for one in instances
    ]


def _maybe_tagged(context: typing.Any) -> list[str]:
    """Return the UUIDs of the instances whose flavor may be tagged.

    Most servers of a cloud are not, and making an object of each would take
    minutes. The flavor is stored as JSON, in which other letters than those
    of ASCII are written as ``\\uXXXX``; keys that are written with them may be
    ours (:func:`nova_isolation.model.vocabulary.is_ours`), so whoever has one
    is looked at.
    """
    flavor = models.InstanceExtra.flavor
    with main_db.get_context_manager(context).reader.using(context):
        rows = context.session.execute(
            sa.select(models.Instance.uuid)
            .join(
                models.InstanceExtra,
                models.InstanceExtra.instance_uuid == models.Instance.uuid,
            )
            .where(
                models.Instance.deleted == 0,
                sa.or_(
                    sa.func.lower(flavor).contains('isolation'),
                    flavor.contains('\\u', autoescape=True, escape='!'),
                ),
            )
        )
        return sorted({row[0] for row in rows})


def _events(
    context: typing.Any, uuids: Sequence[str]
) -> dict[str, list[server.Event]]:
    """Return the events of this project about servers.

    Nova's objects have no query for events of several actions.

    :param context: targeted at the cell
    :returns: UUID -> its events, the newest first
    """
    found: dict[str, list[server.Event]] = {}
    if not uuids:
        return found
    action, event = models.InstanceAction, models.InstanceActionEvent
    with main_db.get_context_manager(context).reader.using(context):
        rows = context.session.execute(
            sa.select(
                action.instance_uuid,
                event.event,
                event.result,
                event.start_time,
                event.finish_time,
                action.request_id,
                event.details,
            )
            .join(action, event.action_id == action.id)
            .where(
                action.instance_uuid.in_(uuids),
                event.event.in_(server.EVENTS),
            )
            .order_by(event.id.desc())
        )
        for uuid, name, result, started, ended, request_id, details in rows:
            known = found.setdefault(uuid, [])
            if len(known) < _MAX_EVENTS:
                known.append(
                    server.Event(
                        name,
                        result or '',
                        _text(ended or started),
                        request_id or '',
                        details or '',
                    )
                )
    return found


def _text(moment: datetime.datetime | None) -> str:
    # Nova stores UTC, without a zone.
    return moment.strftime('%Y-%m-%dT%H:%M:%SZ') if moment else ''
