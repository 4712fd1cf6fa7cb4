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

"""Prints what Nova's metadata service answers to a guest.

The guests of the lab have no network. So this program calls Nova's own code of
that service, which asks nova-isolation-api as it does for a guest.

usage: python metadata.py NOVA_CONF SERVER PATH
"""

import sys

from nova import config as nova_config
from nova import objects
from nova.api.metadata import base
import nova.conf
from nova.db.api import api as api_database
from nova.db.main import api as main_database


def main() -> int:
    """Run the program.

    :returns: 0
    """
    conf, server, path = sys.argv[1:]
    nova_config.parse_args([sys.argv[0], '--config-file', conf])
    main_database.configure(nova.conf.CONF)
    api_database.configure(nova.conf.CONF)
    objects.register_all()
    found = base.get_metadata_by_instance_id(server, '127.0.0.1')
    text = found.lookup(path)
    print(text.decode() if isinstance(text, bytes) else text)
    return 0


if __name__ == '__main__':
    sys.exit(main())
