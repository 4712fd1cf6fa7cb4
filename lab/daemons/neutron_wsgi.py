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

"""Neutron's WSGI application, and what its own server does besides.

uWSGI loads this file by its path. Neutron's eventlet server imported this
model and configured the mappers as a side effect. Without both, a request for
a port fails with HTTP 500.
"""

import neutron.db.models.port_forwarding  # type: ignore  # noqa: F401
from neutron.wsgi.api import application  # type: ignore  # noqa: F401
from sqlalchemy import orm

orm.configure_mappers()
