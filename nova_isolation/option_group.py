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

"""A group of options, as a configuration gets it."""

from collections.abc import Sequence
import typing

from oslo_config import cfg


def register(
    conf: cfg.ConfigOpts, group: cfg.OptGroup, options: Sequence[cfg.Opt]
) -> typing.Any:
    """Register a group and its options in a configuration.

    :param conf: the configuration
    :param group: the group; configurations would share the values of this
        object, so each gets one of its own
    :param options: the options of the group
    :returns: the group in the configuration, which has the values
    """
    conf.register_group(
        cfg.OptGroup(group.name, title=group.title, help=group.help)
    )
    conf.register_opts(options, group=group.name)
    return conf[group.name]
