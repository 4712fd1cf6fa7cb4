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

"""Put into the XML of a domain what confines its guest."""

from lxml import etree

from nova_isolation.decision import domain_definition
from nova_isolation.host import measurement
from nova_isolation.mechanisms import base
from nova_isolation.mechanisms import registry
from nova_isolation.model import reasons
from nova_isolation.virt.guard import domain_xml
from nova_isolation.virt.guard import guest_request
from nova_isolation.virt.guard import verification


def confine(
    xml: domain_xml.DomainXml,
    request: guest_request.GuestRequest,
    measured: measurement.Measurement,
    mechanisms: registry.Mechanisms,
) -> tuple[str, verification.Verification]:
    """Let the mechanisms change the XML of a domain. Raises nothing.

    :param xml: the XML; its element is changed
    :param request: what is asked for the guest
    :param measured: the facts, which meet the requirements
    :param mechanisms: the mechanisms of this process
    :returns: the XML to use; what is unmet, in which case the XML must not
        be used
    """
    before = etree.tostring(xml.element, encoding='unicode')
    for name in verification.owners(request):
        try:
            mechanisms.loaded[name].confine(
                xml.element, request.wanted, measured.sections[name]
            )
        except base.FAILURES as error:
            # What a mechanism that failed has left undone is unknown.
            unmet = verification.all_unmet(
                request, name, reasons.MECHANISM_FAILED, error
            )
            return xml.text, verification.Verification(
                unmet, failures=((name, error),)
            )
    # The libvirt hook decides the same, where it is installed.
    decided = domain_definition.decide(request.wanted, xml.element, mechanisms)
    # What no mechanism changes stays as Nova wrote it, to the byte.
    after = etree.tostring(xml.element, encoding='unicode')
    return (
        xml.text if after == before else after,
        verification.Verification(decided.unmet),
    )
