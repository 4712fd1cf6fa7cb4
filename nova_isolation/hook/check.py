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
input. The check uses nothing else.

libvirt waits for the check at each start. So a domain that plainly fits
(:mod:`nova_isolation.hook.shortcut`) starts without the full check
(:mod:`nova_isolation.hook.objections`), whose import takes longer than all the
rest, and nothing is refused without it.
"""

import sys

from nova_isolation.hook import shortcut
from nova_isolation.model import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

#: The word of the check with which libvirt goes on.
GO = 'start'
#: The beginning of every other verdict.
REFUSAL = 'nova-isolation does not let'


def main(out: 'TextIO | None' = None) -> int:
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
        lines = _objections(sys.stdin.buffer.read().decode())
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


def _objections(xml: str) -> list[str]:
    """List why a domain must not start, one reason a line."""
    try:
        if shortcut.fits(xml):
            return []
    except Exception:  # noqa: S110  # nosec B110
        # Whatever it is, the full check finds it as well and says so.
        pass
    from nova_isolation.hook import objections

    return objections.of(xml)
