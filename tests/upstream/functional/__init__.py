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

"""Nova's own functional tests, with our driver and our filter."""

import os

# As Nova's services run since 34: native threads. Decided at the first import
# of Nova's tests.
os.environ.setdefault('OS_NOVA_DISABLE_EVENTLET_PATCHING', 'true')

import nova.tests.functional  # noqa: F401
from oslo_config import cfg
from oslo_log import log

# oslo.log would write to the standard output, which carries the results of
# the tests; a thread that outlives its test could write into one of them.
log.register_options(cfg.CONF)
cfg.CONF.set_default('log_file', os.devnull)
