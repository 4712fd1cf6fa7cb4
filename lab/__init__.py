"""A throw-away real OpenStack on this one machine.

Real Keystone, Placement, Glance, Neutron and Nova from PyPI, with Debian's
MariaDB, RabbitMQ, libvirtd and QEMU; several compute hosts, each with a
libvirtd and a nova-compute in mount and UTS namespaces of their own. For the
demonstration and the end-to-end tests, and for nothing else: every password
is made per run and every server listens on 127.0.0.x only.

``.venv/bin/python -m lab --help`` lists the commands.
"""
