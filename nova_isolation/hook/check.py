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

"""The check of the libvirt hook: may this domain start?

The installed script (:mod:`nova_isolation.hook.script`) runs this module once
for each operation on a guest that seems tagged, with libvirt's arguments
(guest, operation, sub-operation, extra) and the domain's XML on standard
input. The check uses nothing else: it never calls libvirt, which waits for
the hook and would not answer, and imports no Nova, which would take seconds.
"""

import sys
import typing

# Not lxml, which takes longer to import than the whole check.
from xml.etree import ElementTree  # nosec B405

from nova_isolation.decision import domain_definition
from nova_isolation.host import domain_metadata
from nova_isolation.mechanisms import registry
from nova_isolation.model import printable
from nova_isolation.model import requirements

#: The word of the check with which libvirt goes on.
GO = 'start'
#: The beginning of every other verdict.
REFUSAL = 'nova-isolation does not let'


def objections(xml: str) -> list[str]:
    """List why a domain must not start, one reason a line.

    :param xml: the domain's XML
    :returns: empty where the domain may start
    :raises ValueError: the text cannot be read as the XML of a domain
    """
    if '<!DOCTYPE' in xml:
        # libvirt neither replaces the entities of a document type nor writes
        # one itself.
        raise ValueError('the XML has a document type')
    try:
        domain: typing.Any = ElementTree.fromstring(xml)  # noqa: S314  # nosec B314
    except ElementTree.ParseError as error:
        raise ValueError(str(error)) from None
    _, extra_specs = domain_metadata.of(domain)
    if not requirements.is_tagged(extra_specs):
        return []
    mechanisms = registry.owning(extra_specs)
    unmet = domain_definition.decide(
        requirements.parse(extra_specs, mechanisms.vocabulary),
        domain,
        mechanisms,
    ).unmet
    lines = []
    for item in unmet:
        lines.append(f'- {item}')
        reason = mechanisms.reasons.get(item.code)
        if reason is not None:
            lines.append(f'  {reason.remedy}')
    return lines


def main(out: typing.TextIO | None = None) -> int:
    """Check one guest, and print the verdict.

    The verdict is :data:`GO`, or a text that begins with :data:`REFUSAL`,
    which libvirt shows to whoever asked it. There is no verdict where the
    check fails: the traceback is for the admin of the host, and the script
    refuses the guest.

    :param out: where the verdict goes; None: standard output
    :returns: the exit status, which scripts of older releases go by
    """
    guest = printable.one_line(sys.argv[1] if len(sys.argv) > 1 else '?')
    try:
        lines = objections(sys.stdin.buffer.read().decode())
    except ValueError as error:
        why = printable.one_line(error)
        lines = [f'- the XML of the guest cannot be read: {why}']
    except BaseException:
        # A guest that was not checked does not start, also where a
        # third-party mechanism ends this program with 0.
        import traceback

        traceback.print_exc()
        return 1
    verdict = [f'{REFUSAL} the guest {guest} start:', *lines]
    print(*(verdict if lines else [GO]), sep='\n', file=out, flush=True)
    return 1 if lines else 0
