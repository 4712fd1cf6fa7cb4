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
"""What becomes of a guest that reboots itself, by the XML of its domain.

With QEMU the process, and all that was verified of it, stays. With Xen libvirt
destroys the domain and starts another one, which nobody has paused and
verified; its label is resolved anew, by the policy of then, and libxl gives
one that does not resolve that of any guest. So a tagged guest of Xen must be
stopped, and Nova starts it.

The libvirt hook reads this module, so it imports nothing that takes long.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lxml import etree

#: The element below ``<domain>``, and its value that stops the guest.
ELEMENT, STOP = 'on_reboot', 'destroy'


def restarts(domain: 'etree._Element') -> bool:
    """Return whether libvirt would start another domain for the guest.

    :param domain: the ``<domain>`` element. Without the element libvirt
        restarts.
    """
    if domain.get('type') != 'xen':
        return False
    return (domain.findtext(ELEMENT) or '').strip() != STOP
