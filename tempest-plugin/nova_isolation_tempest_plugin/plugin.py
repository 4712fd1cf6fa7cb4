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

"""What Tempest asks of a plugin."""

import os
from typing import Any

from oslo_config import cfg
from tempest.test_discover import plugins

from nova_isolation_tempest_plugin import config


class IsolationTempestPlugin(plugins.TempestPlugin):
    """The tests of nova-isolation and their options."""

    def load_tests(self) -> tuple[str, str]:
        """Return the folder of the tests and the one to import them from."""
        folder = os.path.dirname(os.path.abspath(__file__))
        return os.path.join(folder, 'tests'), os.path.dirname(folder)

    def register_opts(self, conf: cfg.ConfigOpts) -> None:
        """Register the options with those of Tempest."""
        for group, options in config.OPTIONS.items():
            conf.register_group(group)
            conf.register_opts(options, group)

    def get_opt_lists(self) -> list[tuple[str, list[Any]]]:
        """Return the options for Tempest's sample file."""
        return [
            (group.name, options) for group, options in config.OPTIONS.items()
        ]
