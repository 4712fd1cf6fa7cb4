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
"""The policies of the service: who may ask for what.

An operator changes them in a policy file; ``oslopolicy-sample-generator
--namespace nova_isolation`` prints the defaults.
"""

import typing

from oslo_policy import policy

ADMIN_OR_SYSTEM_READER = 'role:admin or (role:reader and system_scope:all)'
OWNER = 'role:reader and project_id:%(project_id)s'

HOSTS_LIST = 'isolation:hosts:list'
HOSTS_SHOW = 'isolation:hosts:show'
FLAVORS_LIST = 'isolation:flavors:list'
FLAVORS_EXPLAIN = 'isolation:flavors:explain'
SERVERS_LIST = 'isolation:servers:list'
SERVERS_SHOW = 'isolation:servers:show'
SERVERS_EXAMINE = 'isolation:servers:examine'
SERVERS_EVIDENCE = 'isolation:servers:evidence'
VENDORDATA = 'isolation:vendordata'
AUDIT = 'isolation:audit'


def _rule(
    name: str, check: str, description: str, *calls: tuple[str, str]
) -> policy.DocumentedRuleDefault:
    return policy.DocumentedRuleDefault(
        name=name,
        check_str=check,
        description=description,
        scope_types=['system', 'project'],
        operations=[{'method': m, 'path': path} for m, path in calls],
    )


_RULES = [
    _rule(
        HOSTS_LIST,
        ADMIN_OR_SYSTEM_READER,
        'List the compute hosts with what they offer.',
        ('GET', '/v1/hosts'),
    ),
    _rule(
        HOSTS_SHOW,
        ADMIN_OR_SYSTEM_READER,
        'Show one compute host with its facts.',
        ('GET', '/v1/hosts/{host}'),
    ),
    _rule(
        FLAVORS_LIST,
        ADMIN_OR_SYSTEM_READER,
        'List the flavors that ask for isolation, with the number of hosts '
        'for each.',
        ('GET', '/v1/flavors'),
    ),
    _rule(
        FLAVORS_EXPLAIN,
        ADMIN_OR_SYSTEM_READER,
        'Explain for each host whether it could run guests of a flavor, or '
        'of extra specs that no flavor has yet.',
        ('GET', '/v1/flavors/{flavor}/explain'),
        ('POST', '/v1/explain'),
    ),
    _rule(
        SERVERS_LIST,
        f'({ADMIN_OR_SYSTEM_READER}) or ({OWNER})',
        'List the servers of tagged flavors of a project. For those of all '
        'projects the check has no project_id. Who may not show hosts reads '
        'nothing about them here either.',
        ('GET', '/v1/servers'),
    ),
    _rule(
        SERVERS_SHOW,
        f'({ADMIN_OR_SYSTEM_READER}) or ({OWNER})',
        'Show one server: what its flavor asks for and what was read back.',
        ('GET', '/v1/servers/{server}'),
    ),
    _rule(
        SERVERS_EXAMINE,
        ADMIN_OR_SYSTEM_READER,
        'Have the host of a server verify the running guest now.',
        ('GET', '/v1/servers/{server}?now=true'),
    ),
    _rule(
        SERVERS_EVIDENCE,
        f'({ADMIN_OR_SYSTEM_READER}) or ({OWNER})',
        'Read a signed statement about a server, the newest one, or one with '
        'a nonce, for which the host verifies the guest now. Who may not show '
        'hosts reads the statement for owners, which does not name the host.',
        ('GET', '/v1/servers/{server}/evidence'),
    ),
    _rule(
        VENDORDATA,
        'role:service or role:admin',
        "Read the newest statement for the owner of any server, as Nova's "
        'metadata service does for a guest (dynamic vendordata).',
        ('POST', '/v1/vendordata'),
    ),
    _rule(
        AUDIT,
        ADMIN_OR_SYSTEM_READER,
        'Audit the whole cloud: what does not keep what flavors promise.',
        ('GET', '/v1/audit'),
    ),
]


def list_rules() -> list[policy.DocumentedRuleDefault]:
    """Return all policies, for the service and for the generators."""
    return _RULES


def enforcer(conf: typing.Any) -> policy.Enforcer:
    """Return what decides by the policies and the operator's file.

    :param conf: the configuration; the file is ``[oslo_policy] policy_file``
    """
    made = policy.Enforcer(conf)
    made.register_defaults(list_rules())
    return made
