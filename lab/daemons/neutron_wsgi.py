"""Neutron's WSGI application, plus what its own server would have done.

uWSGI loads this file by its path. Without the model imported here and the
mappers configured, reading a port is an HTTP 500: Neutron's eventlet server
did both as a side effect.
"""

import neutron.db.models.port_forwarding  # type: ignore  # noqa: F401
from neutron.wsgi.api import application  # type: ignore  # noqa: F401
from sqlalchemy import orm

orm.configure_mappers()
