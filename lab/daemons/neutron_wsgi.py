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

"""Neutron's WSGI application, plus what its own server would have done.

uWSGI loads this file by its path. Without the model imported here and the
mappers configured, reading a port is an HTTP 500: Neutron's eventlet server
did both as a side effect.
"""

import neutron.db.models.port_forwarding  # type: ignore  # noqa: F401
from neutron.wsgi.api import application  # type: ignore  # noqa: F401
from sqlalchemy import orm

orm.configure_mappers()
