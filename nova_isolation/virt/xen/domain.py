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
from nova_isolation.virt.xen import nova_modules


def fit(xml: domain_xml.DomainXml) -> str:
    """Change a definition of Nova so that libxl accepts it and means it.

    :param xml: the XML; its element is changed
    :returns: the XML to use. It is the same where it has been here before.
    :raises nova.exception.ComputeResourcesUnavailable: libxl has no such
        disks
    """
    domain = xml.element
    _remove(domain, 'iothreads')
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


def _serve(found: etree._Element) -> None:
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


def stop_at_reboot(domain: etree._Element) -> None:
    """Have a guest that reboots itself stopped; see
    :mod:`nova_isolation.model.self_reboot`.

    :param domain: the ``<domain>`` element, changed in place
    """
    found = domain.find(self_reboot.ELEMENT)
    if found is None:
        found = etree.SubElement(domain, self_reboot.ELEMENT)
    found.text = self_reboot.STOP
