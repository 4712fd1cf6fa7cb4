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


"""A virtual machine with Xen, whose hypervisor and dom0 both enforce.

The hypervisor is built from Debian's source package, because Debian's own has
no FLASK. Its policy, with a type for guests and one for a driver domain, is
built in. dom0 is made of Debian's packages, and its kernel enforces SELinux
over libvirt, Xen's daemons and device models.

What it shares with the other machine (lab.machine) is there: the cache, the
snapshot, the connection.
"""
