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


"""A virtual machine with a security module in its kernel, run by QEMU.

The kernel of this machine may have neither SELinux nor AppArmor, and a kernel
enforces only one of them. So a compute host with a security module is a
virtual machine. One disk image is made from Debian packages; its kernel
command line selects the module. The boot takes long, so it is done once for
each module, and kept as a snapshot from which a cloud starts.

QEMU emulates the machine (TCG). Inside a guest, a /dev/kvm that can be opened
may still not work, and TCG cannot use a snapshot that KVM made.
"""
