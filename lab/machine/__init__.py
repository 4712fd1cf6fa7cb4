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


"""A machine with a security module in its kernel, run by QEMU.

This machine's kernel may have neither SELinux nor AppArmor, and one kernel
enforces one of them. So a compute host that is to have one is a machine of
its own: Debian packages make one disk image, which boots either, depending on
its kernel command line. What takes long, the boot, is done once for each, and
kept as a snapshot that a cloud starts from.

The machine is emulated (TCG): a /dev/kvm that can be opened is no sign of one
that works where the machine is itself a guest, and a snapshot that KVM made
is of no use to TCG.
"""
