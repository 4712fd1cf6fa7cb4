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

"""Say for each compute host whether it may run guests of a flavor, and why
not: the decision of the scheduler on the facts that Nova holds now.
"""

import dataclasses
import time
import typing

import nova.conf

from nova import context as nova_context
from nova import exception
from nova import objects
from nova_isolation import opts
from nova_isolation.attestation import service
from nova_isolation.decision import cache
from nova_isolation.decision import decision
from nova_isolation.mechanisms import registry
from nova_isolation.model import errors
from nova_isolation.model import facts
from nova_isolation.model import requirements

CONF = nova.conf.CONF


class ExplainError(errors.IsolationError):
    """The question cannot be answered; the message says why."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """The answer for one host.

    :ivar host: the name of its compute service
    :ivar state: '' or why Nova itself would not use it (disabled, down)
    :ivar decision: what isolation says
    """

    host: str
    state: str
    decision: decision.Decision


def run(flavor_name: str) -> int:
    """Print the answers.

    :param flavor_name: name or ID of the flavor
    :returns: 0 if some host would do, else 1
    :raises ExplainError: there is no such flavor
    """
    context = nova_context.get_admin_context()
    extra_specs = _flavor(context, flavor_name).extra_specs
    mechanisms = registry.get()
    wanted = requirements.parse(extra_specs, mechanisms.vocabulary)
    if not wanted:
        print(f'Flavor {flavor_name} has no isolation: extra specs.')
        return 0
    print(f'Flavor {flavor_name} asks for:')
    for key in sorted(extra_specs):
        if requirements.is_tagged({key: extra_specs[key]}):
            print(f'  {key}={extra_specs[key]}')
    if CONF.isolation.mode == 'audit':
        print('Mode audit: what is refused below is only recorded.')
    answers = list(_answers(context, wanted, mechanisms))
    for answer in answers:
        _show(answer, mechanisms)
    if not answers:
        print('Nova knows no compute host.')
    usable = any(a.decision.accepted and not a.state for a in answers)
    if not usable:
        print(f'No host can run flavor {flavor_name} now.')
    return 0 if usable else 1


def _flavor(context: typing.Any, name: str) -> typing.Any:
    for find in (
        objects.Flavor.get_by_flavor_id,
        objects.Flavor.get_by_name,
    ):
        try:
            return find(context, name)
        except (exception.FlavorNotFound, exception.FlavorNotFoundByName):
            continue
    raise ExplainError(
        f'There is no flavor with the ID or name {name!r}; see "openstack '
        'flavor list --all".'
    )


def _answers(
    context: typing.Any,
    wanted: requirements.Requirements,
    mechanisms: registry.Mechanisms,
) -> typing.Iterator[Answer]:
    judge = cache.DecisionCache(
        wanted, opts.freshness(CONF.isolation), mechanisms
    )
    attestation = service.make(CONF)
    if judge.asks:
        attestation.start()
        attestation.wait(CONF.isolation_attestation.timeout)
        attestation.stop()
    nodes = []
    for cell in objects.CellMappingList.get_all(context):
        with nova_context.target_cell(context, cell) as cell_context:
            services = {
                s.host: s
                for s in objects.ServiceList.get_by_binary(
                    cell_context, 'nova-compute', include_disabled=True
                )
            }
            nodes += [
                (node, services.get(node.host))
                for node in objects.ComputeNodeList.get_all(cell_context)
            ]
    now = time.time()
    for node, record in sorted(nodes, key=lambda pair: pair[0].host):
        held = node.stats or {}
        yield Answer(
            node.host,
            _state(record),
            judge.decide(
                held.get(facts.STAT),
                facts.age(held, now),
                attestation.statements(node.host, node.uuid),
                attestation.clock(now),
            ),
        )


def _state(service: typing.Any) -> str:
    from nova import servicegroup

    if service is None:
        return 'has no service record'
    if service.disabled:
        reason = service.disabled_reason
        return 'is disabled' + (f' ({reason})' if reason else '')
    if not servicegroup.API().service_is_up(service):
        return 'is down'
    return ''


def _show(answer: Answer, mechanisms: registry.Mechanisms) -> None:
    verdict = 'accepted' if answer.decision.accepted else 'refused'
    joint = 'but' if answer.decision.accepted else 'and'
    note = f', {joint} the host {answer.state}' if answer.state else ''
    print(f'{answer.host}: {verdict}{note}')
    for unmet in answer.decision.unmet:
        print(f'  - {unmet}')
        reason = mechanisms.reasons.get(unmet.code)
        if reason is not None:
            print(f'    {reason.remedy}')
