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


"""The groups of components that a flavor can name.

Nova keeps a value to 255 characters, which is room for some 32 names of
components. A word for several of them must mean the same to everybody who
reads it, for as long as a flavor has it:

* **A group has the members that it had when a release first had it.** Members
  are never added or removed. A component that a later release knows gets into
  a new group, whose name a host of an older release does not know and refuses
  (``isolation.spec.invalid_value``).
* **all** means every component in the catalogue of whoever reads it. The
  scheduler asks a host for each component that the scheduler knows: a host of
  an older release, which has not looked for one of them, is refused. The host
  decides again, by its own catalogue: where that has more rows, all of them
  count as well. So ``all`` gets stricter with each release and never weaker.

A member that was dropped would make a host fit whose emulator has it, with no
word to the admin. So a test has the members of each group a second time.

The libvirt hook reads this module, so it imports nothing that takes long.
"""

import types

from nova_isolation.mechanisms.qemu import catalogue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: The word for every component.
ALL = 'all'

#: Name of a group -> its members, for ever. Together they are the first 50
#: rows of the catalogue.
GROUPS = types.MappingProxyType(
    {
        'display': (
            'cirrus', 'qxl', 'vmware-vga', 'bochs-display', 'ati-vga',
            'virtio-gpu', 'virtio-gpu-gl', 'spice',
        ),
        'legacy-nic': (
            'ne2000', 'pcnet', 'rtl8139', 'e1000', 'e1000e', 'eepro100',
            'tulip', 'vmxnet3',
        ),
        'legacy-storage': (
            'floppy', 'sdhci', 'lsi-scsi', 'megasas', 'mptsas', 'am53c974',
            'pvscsi', 'nvme',
        ),
        'ports': ('parallel', 'ipmi', 'can', 'vmport', 'sga'),
        'sharing': ('virtio-9p', 'ivshmem'),
        'sound': ('ac97', 'es1370', 'intel-hda', 'sb16', 'adlib', 'gus'),
        'test-devices': ('edu', 'pc-testdev'),
        'usb': (
            'usb-redir', 'usb-uhci', 'usb-ohci', 'usb-ehci', 'usb-xhci',
            'usb-smartcard', 'usb-mtp', 'usb-storage', 'usb-serial',
            'usb-host', 'usb-u2f',
        ),
    }
)  # fmt: skip

#: What a flavor can name: components, groups, and all.
WORDS = (*catalogue.CATALOGUE, *GROUPS, ALL)


def components(words: 'Iterable[str]') -> tuple[str, ...]:
    """Return the components that words of :data:`WORDS` stand for.

    :returns: the components, each once, in the order of the catalogue
    :raises KeyError: a word is not one of :data:`WORDS`
    """
    wanted: set[str] = set()
    for word in words:
        wanted.update(_members(word))
    return tuple(name for name in catalogue.CATALOGUE if name in wanted)


def shortest(names: 'Iterable[str]') -> tuple[str, ...]:
    """Return few words that stand for exactly these components.

    :returns: groups and the components that are left; never :data:`ALL`,
        whose meaning moves
    """
    left = dict.fromkeys(components(names))
    found = [
        group
        for group, members in GROUPS.items()
        if left.keys() >= set(members)
    ]
    for group in found:
        for member in GROUPS[group]:
            del left[member]
    return (*found, *left)


def _members(word: str) -> 'Iterable[str]':
    if word == ALL:
        return catalogue.CATALOGUE
    return (word,) if word in catalogue.CATALOGUE else GROUPS[word]
