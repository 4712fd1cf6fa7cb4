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

"""The findings of an audit."""

import dataclasses

from nova_isolation.page import reading


@dataclasses.dataclass(frozen=True)
class Row:
    """One finding.

    :ivar severity: ``error`` or ``warning``
    :ivar code: ``isolation.audit.…``
    :ivar kind: what it is about: server, host, flavor or service
    :ivar id: the ID of that
    :ivar name: the name of that
    :ivar detail: what was found
    :ivar remedy: what the admin can do
    """

    severity: str
    code: str
    kind: str
    id: str
    name: str
    detail: str
    remedy: str

    @property
    def tokens(self) -> tuple[str, ...]:
        """The words by which the row is filtered."""
        return (self.severity, self.code, f'about-{self.kind}')


@dataclasses.dataclass(frozen=True)
class Audit:
    """An audit.

    :ivar checked: what was looked at, with the number of each
    :ivar known: whether the audit says what it found
    :ivar unread: the cells that could not be read
    :ivar rows: the findings, errors first
    """

    checked: tuple[tuple[str, str], ...]
    known: bool
    unread: tuple[reading.Json, ...]
    rows: tuple[Row, ...]

    def count(self, severity: str) -> int:
        """Return how many findings have a severity."""
        return sum(row.severity == severity for row in self.rows)


def audit(said: reading.Json) -> Audit:
    """Return the findings.

    :param said: as ``GET /v1/audit`` has it below ``audit``
    """
    return Audit(
        reading.pairs(said, 'checked'),
        isinstance(said.get('findings'), list),
        tuple(reading.parts(said, 'unread_cells')),
        tuple(
            sorted(
                (_row(item) for item in reading.parts(said, 'findings')),
                key=lambda row: (row.severity != 'error', row.code, row.name),
            )
        ),
    )


def _row(finding: reading.Json) -> Row:
    subject = reading.part(finding, 'subject')
    return Row(
        # What is no warning counts as an error.
        'warning' if finding.get('severity') == 'warning' else 'error',
        reading.text(finding, 'code', reading.UNKNOWN),
        reading.text(subject, 'type', reading.UNKNOWN),
        reading.text(subject, 'id'),
        reading.text(subject, 'name', reading.UNKNOWN),
        reading.text(finding, 'detail', reading.UNKNOWN),
        reading.text(finding, 'remedy'),
    )
