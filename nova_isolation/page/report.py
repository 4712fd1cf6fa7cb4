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

"""An audit as one file that can be mailed."""

from collections.abc import Sequence
import datetime

from nova_isolation.page import findings
from nova_isolation.page import flavors as flavor_rows
from nova_isolation.page import matrix
from nova_isolation.page import reading
from nova_isolation.page import servers as server_rows
from nova_isolation.page import templates


def render(
    audit: reading.Json,
    *,
    hosts: Sequence[reading.Json] | None,
    flavors: Sequence[reading.Json] | None,
    servers: Sequence[reading.Json] | None,
    cloud: str,
    made_at: datetime.datetime,
) -> str:
    """Return the report as HTML, which loads nothing.

    :param audit: as ``GET /v1/audit`` has it below ``audit``
    :param hosts: as ``GET /v1/hosts`` has them; None: not known
    :param flavors: as ``GET /v1/flavors`` has them; None: not known
    :param servers: as ``GET /v1/servers`` has them; None: not known
    :param cloud: what the title names, such as the region; may be empty
    :param made_at: when the answers were given, with a time zone
    :returns: to be written as UTF-8
    """
    style = templates.static('page.css')
    script = templates.static('page.js')
    return templates.render(
        'report.html',
        audit=findings.audit(audit),
        matrix=None if hosts is None else matrix.matrix(hosts),
        flavors=None if flavors is None else flavor_rows.rows(flavors),
        servers=None if servers is None else server_rows.rows(servers),
        names=server_rows.names(servers or ()),
        violations=None if hosts is None else matrix.violations(hosts),
        cloud=cloud,
        made_at=made_at.astimezone(datetime.timezone.utc).strftime(
            '%Y-%m-%d %H:%M:%S UTC'
        ),
        level=3,
        host_link=None,
        flavor_link=None,
        style=style,
        script=script,
        policy=(
            f"default-src 'none'; style-src '{templates.digest(style)}'; "
            f"script-src '{templates.digest(script)}'; base-uri 'none'; "
            "form-action 'none'"
        ),
    )
