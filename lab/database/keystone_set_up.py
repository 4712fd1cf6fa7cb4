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

"""Runs several commands of keystone-manage with one import of Keystone.

    keystone_set_up.py KEYSTONE_CONF KEYSTONE_URL REGION

The administrator's password is in OS_BOOTSTRAP_PASSWORD. An import of Keystone
takes longer than each of the commands. Each command runs in a fork, because
all commands parse their command line into the same global configuration.
"""

import os
import sys
import traceback

from keystone.cmd import cli


def main() -> int:
    """Run the commands in order, until one fails.

    :returns: the exit status of the command that failed, or 0
    """
    conf, url, region = sys.argv[1:]
    owner = ['--keystone-user', 'root', '--keystone-group', 'root']
    commands = (
        ['fernet_setup', *owner],
        ['credential_setup', *owner],
        [
            'bootstrap',
            '--bootstrap-region-id',
            region,
            '--bootstrap-public-url',
            url,
            '--bootstrap-internal-url',
            url,
            '--bootstrap-admin-url',
            url,
        ],
    )
    for command in commands:
        child = os.fork()
        if not child:
            os._exit(run(['keystone-manage', '--config-file', conf, *command]))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status:
            return status
    return 0


def run(command: list[str]) -> int:
    """Run one command line of keystone-manage in this process."""
    try:
        return cli.main(command) or 0
    except BaseException:
        # No exception in a fork may return into the code of the parent.
        traceback.print_exc()
        return 1


if __name__ == '__main__':
    sys.exit(main())
