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

"""The command that looks over the whole cloud."""

import argparse
import collections
import typing

from nova_isolation.model import traits
from nova_isolation.osc import columns
from nova_isolation.osc import command
from nova_isolation.osc import errors
from nova_isolation.osc import traits_only


class ShowIsolationAudit(command.Lister):
    """Look for faults over the whole cloud

    For example: tagged servers on hosts without the driver, typing errors in
    the extra specs of flavors, hosts that only audit, violations. The exit
    code is 0 where nothing is found, 1 where something is found, and 2 where
    that cannot be told, so the command fits a pipeline or a cron job.
    """

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[typing.Sequence[str], typing.Iterable[typing.Any]]:
        """See the base class."""
        try:
            audit = self.service.audit()
        except errors.ServiceAway as away:
            raise errors.Failure(f'{away} {self._by_traits()}') from away
        findings = audit.get('findings')
        if not isinstance(findings, list):
            raise errors.Failure(
                'The answer of the service isolation has no findings.'
            )
        complete = self.is_complete()
        if findings:
            self.status = command.NO
        elif not complete:
            self.status = command.CANNOT
        self.say(_summary(audit, findings))
        return (
            ('Severity', 'Code', 'Type', 'Name', 'ID', 'Detail', 'Remedy'),
            [_row(one) for one in findings],
        )

    def _by_traits(self) -> str:
        """Say what Nova and placement tell of the hosts."""
        try:
            sight = traits_only.look(
                self.nova, self.app.client_manager.sdk_connection.placement
            )
        except Exception as error:
            return f'Nova and placement tell nothing either: {error}'
        without = [
            host.host
            for host in sight.hosts
            if traits.GUARDED not in sight.of(host)
        ]
        text = (
            f'Of {len(sight.hosts)} compute hosts, {len(without)} have no '
            'trait of the driver in placement'
        )
        return text + (f': {columns.names(without)}.' if without else '.')


def _summary(
    audit: dict[str, typing.Any], findings: list[dict[str, typing.Any]]
) -> str:
    checked = audit.get('checked') or {}
    counts = collections.Counter(one.get('severity') for one in findings)
    return (
        f'Checked {checked.get("hosts")} hosts, {checked.get("flavors")} '
        f'flavors and {checked.get("servers")} servers: '
        f'{counts["error"]} errors, {counts["warning"]} warnings.'
    )


def _row(finding: dict[str, typing.Any]) -> tuple[typing.Any, ...]:
    subject = finding.get('subject') or {}
    return (
        finding.get('severity'),
        finding.get('code'),
        subject.get('type'),
        subject.get('name'),
        subject.get('id'),
        finding.get('detail'),
        finding.get('remedy'),
    )
