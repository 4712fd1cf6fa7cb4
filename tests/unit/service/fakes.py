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
"""A service over a cloud and a keystone that the test makes up."""

import time

from oslo_config import cfg
from oslo_context import context
from starlette import testclient

from nova_isolation.attestation import service as attestation
from nova_isolation.mechanisms import registry
from nova_isolation.model import facts
from nova_isolation.report import asked
from nova_isolation.report import explanation
from nova_isolation.report import picture
from nova_isolation.service import app
from nova_isolation.service import endpoint
from nova_isolation.service import errors
from nova_isolation.service import picture_keeper
from nova_isolation.service import policies
from tests.unit import strategies

#: The tokens of those who may ask, and what keystone says of them.
TOKENS = {
    'admin': {'roles': ['admin', 'reader'], 'project_id': 'admins'},
    'auditor': {'roles': ['reader'], 'system_scope': 'all'},
    'owner': {'roles': ['member', 'reader'], 'project_id': 'p1'},
    'other': {'roles': ['member', 'reader'], 'project_id': 'p2'},
    'nobody': {'roles': [], 'project_id': 'p1'},
    'service': {'roles': ['service'], 'project_id': 'services'},
    'domain': {'roles': ['member', 'reader'], 'domain_id': 'default'},
}

STRONG = facts.dumps(strategies.STRONG)


async def identify(method, path, token):
    """As keystone does, for :data:`TOKENS`."""
    if token not in TOKENS:
        raise errors.ApiError(errors.UNAUTHORIZED, 'no valid token')
    return context.RequestContext(user_id=f'user-{token}', **TOKENS[token])


def node(host, state='', mode='enforce', document=STRONG, age=0, cell='c1'):
    """A compute node that published its facts ``age`` seconds ago."""
    return picture.ComputeNode(
        host,
        f'uuid-of-{host}',
        {
            facts.STAT: document,
            facts.TIME_STAT: str(int(time.time() - age)),
            facts.MODE_STAT: mode,
        },
        state,
        cell,
    )


def cloud(nodes=(), flavors=(), unread=(), **more):
    """A picture of a cloud that was read now."""
    return picture.Picture(
        time.time(), tuple(nodes), tuple(flavors), tuple(unread), **more
    )


def flavor(flavor_id, **specs):
    """A flavor; ``svirt='any'`` is ``isolation:svirt=any``."""
    return picture.Flavor(
        flavor_id,
        f'name-{flavor_id}',
        {f'isolation:{key}': value for key, value in specs.items()},
    )


def rules(mode='enforce'):
    """The rules of a service with the installed mechanisms."""
    return explanation.Rules(mode, facts.Freshness(), registry.get())


class Servers(asked.Servers):
    """Answers about the servers of a picture.

    :ivar examined: what the host reads, or an exception
    """

    def __init__(self, seen, examined=None):
        self.servers = (
            {} if seen is None else {one.uuid: one for one in seen.servers}
        )
        self.examined = examined

    def find(self, uuid):
        """See the base class."""
        if uuid not in self.servers:
            raise asked.NoSuchServer(uuid)
        return self.servers[uuid]

    def examine(self, uuid):
        """See the base class."""
        if isinstance(self.examined, Exception):
            raise self.examined
        return self.examined

    def state(self, uuid, wanted):
        """See the base class."""
        raise asked.NotExamined('no statements here')


def find_flavor(seen):
    """What answers about the flavors of a picture."""

    def find(name):
        found = None if seen is None else seen.flavor(name)
        if found is None:
            raise asked.NoSuchFlavor(name)
        return found

    return find


def parts(seen=None, **more):
    """The parts of a service.

    :param seen: the picture of the cloud; None: nothing was read yet
    :param more: other parts, in place of those made up here
    """
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[], default_config_dirs=[])
    keeper = picture_keeper.PictureKeeper(lambda: seen, 10, 120)
    if seen is not None:
        keeper.refresh()
    return endpoint.Parts(
        **{
            'identify': identify,
            'enforcer': policies.enforcer(conf),
            'keeper': keeper,
            'rules': rules(),
            'attestation': attestation.NoAttestation(),
            'servers': Servers(seen),
            'find_flavor': find_flavor(seen),
            # What was measured before the picture does not grow old while
            # other tests run.
            'clock': time.time if seen is None else lambda: seen.read_at,
            **more,
        }
    )


def client(seen=None, token='admin', **more):
    """A client of a service, see :func:`parts`.

    :param token: one of :data:`TOKENS`; '' for none
    """
    return testclient.TestClient(
        app.make(parts(seen, **more)),
        headers={'X-Auth-Token': token} if token else {},
    )
