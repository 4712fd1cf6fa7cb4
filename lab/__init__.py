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

"""A throw-away real OpenStack on this one machine.

Real Keystone, Placement, Glance, Neutron and Nova from PyPI, with Debian's
MariaDB, RabbitMQ, libvirtd and QEMU; several compute hosts, each with a
libvirtd and a nova-compute in mount and UTS namespaces of their own. The lab
serves the demonstration and the end-to-end tests, and nothing else: every
password is made per run, and every server listens on 127.0.0.x only.

The rooms, from top to bottom; a room imports only rooms below it:

* ``demo``, ``soak``, ``tempest`` and the command line use what is below
* ``guests``: guests of a cloud, through the API and on their host
* ``cloud``: a whole cloud, from its configuration files to its end
* ``daemons`` and ``keylime``: the services of a cloud
* ``hosts``: compute hosts, in which commands run
* ``config``: configuration files as data
* ``machine``: the virtual machine that has SELinux or AppArmor
* ``run``: processes, paths, ports and steps
* ``database``: programs that make database schemas; nothing imports them

``.venv/bin/python -m lab --help`` lists the commands.
"""
