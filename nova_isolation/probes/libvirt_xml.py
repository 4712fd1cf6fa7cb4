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

"""The capabilities that libvirt reports about itself, as XML."""

import functools
import typing

if typing.TYPE_CHECKING:
    from lxml import etree


@functools.cache
def _parser() -> 'etree.XMLParser':
    from lxml import etree

    # The XML comes from the libvirtd of the host over a local socket. All the
    # same, the parser resolves no entities and uses no network.
    return etree.XMLParser(resolve_entities=False, no_network=True)


def parse(text: str) -> 'etree._Element':
    """Parse XML of libvirt.

    :raises ValueError: the text is not XML
    """
    # The import is here because the libvirt hook imports this module, and the
    # import of lxml would take longer than the hook's whole decision.
    from lxml import etree

    try:
        return etree.fromstring(text.encode(), _parser())
    except etree.XMLSyntaxError as error:
        raise ValueError(f'libvirt returned malformed XML: {error}') from None


def security_models(capabilities: str) -> tuple[str, ...]:
    """Return the security models that libvirt has drivers for.

    One of them is e.g. ``selinux``. The order is that of libvirt, which
    reports the label of a guest from its first driver alone
    (virSecurityStackGetProcessLabel). https://libvirt.org/formatcaps.html,
    ``host/secmodel``.

    :raises ValueError: the text is not libvirt's capabilities
    """
    root = _capabilities(capabilities)
    return tuple((m.text or '') for m in root.iterfind('host/secmodel/model'))


def base_label(capabilities: str, model: str, domain: str) -> str:
    """Return the label that libvirt gives to guests by default.

    libvirt completes it for each guest, e.g. with categories. See
    https://libvirt.org/formatcaps.html, ``host/secmodel/baselabel``.

    :param capabilities: libvirt's capabilities, XML
    :param model: the security model, e.g. ``selinux``
    :param domain: the type of the domains, e.g. ``kvm``
    :raises ValueError: the text is not libvirt's capabilities, or has no
        such label
    """
    for found in _capabilities(capabilities).iterfind('host/secmodel'):
        if found.findtext('model') == model:
            text = found.findtext(f'baselabel[@type="{domain}"]', '').strip()
            if text:
                return text
    raise ValueError(
        f"libvirt's capabilities have no <baselabel> of {model} for domains "
        f'of type {domain}'
    )


def _capabilities(text: str) -> 'etree._Element':
    root = parse(text)
    if root.tag != 'capabilities':
        raise ValueError(
            f'libvirt returned <{root.tag}> instead of <capabilities>'
        )
    return root


# These functions are called for each guest that is started or verified, and
# their argument hardly ever changes.
_kept = functools.lru_cache(maxsize=4)


@_kept
def emulator(domain_capabilities: str) -> str:
    """Return the path of the emulator that libvirt starts by default.

    See https://libvirt.org/formatdomaincaps.html.

    :raises ValueError: the text is not libvirt's domain capabilities
    """
    return _needed(domain_capabilities, 'path')


@_kept
def domain_type(domain_capabilities: str) -> str:
    """Return the type of the domains, e.g. ``kvm`` or ``qemu``.

    libvirt returns capabilities for ``kvm`` only where /dev/kvm can be used.

    :raises ValueError: the text is not libvirt's domain capabilities
    """
    return _needed(domain_capabilities, 'domain')


@_kept
def plain_domain(domain_capabilities: str) -> str:
    """Return the XML of a guest without devices, as libvirt would start it.

    libvirt adds a USB controller and a balloon to each guest that does not
    rule them out, and fails where the emulator or its machine cannot have
    them, e.g. a machine without PCI. Such an emulator still has a sandbox.

    :raises ValueError: the text is not libvirt's domain capabilities
    """
    from lxml import etree

    domain = etree.Element('domain', type=domain_type(domain_capabilities))
    etree.SubElement(domain, 'name').text = 'nova-isolation'
    etree.SubElement(domain, 'memory').text = '65536'
    system = etree.SubElement(etree.SubElement(domain, 'os'), 'type')
    system.text = 'hvm'
    for name in ('arch', 'machine'):
        system.set(name, _needed(domain_capabilities, name))
    devices = etree.SubElement(domain, 'devices')
    path = etree.SubElement(devices, 'emulator')
    path.text = emulator(domain_capabilities)
    etree.SubElement(devices, 'controller', type='usb', model='none')
    etree.SubElement(devices, 'memballoon', model='none')
    return str(etree.tostring(domain, encoding='unicode'))


def _needed(domain_capabilities: str, tag: str) -> str:
    root = parse(domain_capabilities)
    text = root.findtext(tag)
    if root.tag != 'domainCapabilities' or not text:
        raise ValueError(f"libvirt's domain capabilities have no <{tag}>")
    return text
