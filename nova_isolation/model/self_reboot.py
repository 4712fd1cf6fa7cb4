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
"""What becomes of a guest that ends by itself, by the XML of its domain.

With QEMU the process, and all that was verified of it, stays. With Xen libvirt
destroys the domain and starts another one, which nobody has paused and
verified; its label is resolved anew, by the policy of then, and libxl gives
one that does not resolve that of any guest. So libvirt must not start it. It
keeps the domain, in which nothing runs, and Nova starts a new one:
:mod:`nova_isolation.virt.xen.self_reboots`. Nor must it start one where the
guest has powered itself off or has crashed.

The libvirt hook reads this module, so it imports nothing that takes long.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml import etree

#: The element below ``<domain>``, and its value that this project writes.
ELEMENT, KEEP = 'on_reboot', 'preserve'

#: Its values with which libvirt starts nothing.
STOPPING = (KEEP, 'destroy')

#: What libvirt does when the guest has powered itself off or has crashed,
#: which the guest decides as well. Without one of them libvirt destroys.
OTHERS, DESTROY = ('on_poweroff', 'on_crash'), 'destroy'


def restarting(domain: 'etree._Element') -> 'Iterator[str]':
    """Find the elements by which libvirt would start another domain.

    :param domain: the ``<domain>`` element. Without ``<on_reboot>`` libvirt
        restarts.
    """
    if domain.get('type') != 'xen':
        return
    if (domain.findtext(ELEMENT) or '').strip() not in STOPPING:
        yield ELEMENT
    for name in OTHERS:
        # restart, rename-restart, coredump-restart
        if 'restart' in (domain.findtext(name) or ''):
            yield name


def restarts(domain: 'etree._Element') -> bool:
    """Return whether libvirt would start another domain for the guest.

    :param domain: the ``<domain>`` element
    """
    return any(restarting(domain))
