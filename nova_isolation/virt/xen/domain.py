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

"""The definition of a domain, as libxl wants it.

Nova writes some elements for QEMU whatever the hypervisor is. Every definition
of a guest passes here, also one that Nova reads from a file (the end of a
rescue), so it is changed here and not where Nova builds it.
"""

from lxml import etree

from nova_isolation.model import self_reboot
from nova_isolation.virt.guard import domain_xml
from nova_isolation.virt.xen import disk
from nova_isolation.virt.xen import guest_kind
from nova_isolation.virt.xen import nova_modules

#: What finds the kernel of a guest in its own disk.
_BOOTLOADER = 'pygrub'


def fit(xml: domain_xml.DomainXml) -> str:
    """Change a definition of Nova so that libxl accepts it and means it.

    :param xml: the XML; its element is changed
    :returns: the XML to use. It is the same where it has been here before.
    :raises nova.exception.ComputeResourcesUnavailable: libxl has no such
        disks
    """
    domain = xml.element
    _remove(domain, 'iothreads')
    _boot(domain)
    _count_time(domain)
    devices = domain.find('devices')
    if devices is not None:
        for controller in devices.findall('controller'):
            # libvirt, at the start: ``unsupported configuration: unsupported
            # usb model`` (Nova writes one with model='none').
            if controller.get('type') == 'usb':
                devices.remove(controller)
        for found in devices.findall('disk'):
            _serve(found)
    return text(domain)


def text(domain: etree._Element) -> str:
    """The XML of an element."""
    return str(etree.tostring(domain, encoding='unicode'))


def _remove(domain: etree._Element, tag: str) -> None:
    for found in domain.findall(tag):
        domain.remove(found)


def _boot(domain: etree._Element) -> None:
    """Say how a PV or PVH guest without a kernel starts.

    It has no firmware that could follow ``<boot dev>``; Nova's
    LibvirtConfigGuest has no ``<bootloader>``.
    """
    system = domain.find('os')
    type_ = None if system is None else system.find('type')
    if system is None or type_ is None or system.find('kernel') is not None:
        return
    if guest_kind.boots_by_firmware(type_.get('machine')):
        return
    _remove(system, 'boot')
    if domain.find('bootloader') is None:
        etree.SubElement(domain, 'bootloader').text = _BOOTLOADER


def _count_time(domain: etree._Element) -> None:
    """Let PVH and HVM guests read the processor's own counter.

    ``SVM Insn len emulation failed`` at rdtscp without it, where Xen itself is
    in a virtual machine. A guest never moves to another host while it runs, so
    nothing needs Xen's emulation of the counter. Nova's timers have no mode.
    """
    clock, type_ = domain.find('clock'), domain.find('os/type')
    if clock is None or type_ is None:
        return
    if type_.get('machine') in (
        guest_kind.PVH.machine,
        guest_kind.HVM.machine,
    ) and not clock.findall("timer[@name='tsc']"):
        etree.SubElement(clock, 'timer', name='tsc', mode='native')


def _serve(found: etree._Element) -> None:
    disk.check(found)
    driver, target = found.find('driver'), found.find('target')
    if driver is None:
        driver = etree.SubElement(found, 'driver', type='raw')
    # The device model has its own buses for what it emulates.
    emulated = target is not None and target.get('bus') not in (
        None,
        nova_modules.BUS,
    )
    driver.set(
        'name',
        disk.QEMU
        if emulated
        else disk.name(driver.get('type'), found.get('type')),
    )
    for attribute in ('cache', 'io'):
        driver.attrib.pop(attribute, '')


def keep_at_reboot(domain: etree._Element) -> None:
    """Have the domain of a guest that reboots itself kept, and that of one
    that ends otherwise not restarted; see
    :mod:`nova_isolation.model.self_reboot`.

    :param domain: the ``<domain>`` element, changed in place
    """
    for name in list(self_reboot.restarting(domain)):
        if name != self_reboot.ELEMENT:
            _remove(domain, name)
            etree.SubElement(domain, name).text = self_reboot.DESTROY
    found = domain.find(self_reboot.ELEMENT)
    if found is None:
        found = etree.SubElement(domain, self_reboot.ELEMENT)
    found.text = self_reboot.KEEP
