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

"""Whether the installed hook judges: tried as libvirt would run it."""

from pathlib import Path
import subprocess  # nosec B404: to run the installed file

from nova_isolation import reasons
from nova_isolation.virt import domain_metadata

_SECONDS = 60
# It is tagged, and nothing in it would confine it.
_TAGGED = (
    '<domain><name>trial</name><metadata><nova:instance '
    f'xmlns:nova="{domain_metadata.NAMESPACE}"><nova:flavor><nova:extraSpecs>'
    '<nova:extraSpec name="isolation:svirt">any</nova:extraSpec>'
    '</nova:extraSpecs></nova:flavor></nova:instance></metadata></domain>'
)
_UNTAGGED = '<domain><name>trial</name></domain>'


def fault(path: Path) -> str:
    """What is wrong with the installed file; '' if it judges as it should.

    :param path: the file
    """
    for xml, status, words in (
        (_UNTAGGED, 0, ''),
        (_TAGGED, 1, reasons.SVIRT_DEFINITION.code),
    ):
        try:
            result = subprocess.run(  # noqa: S603  # nosec B603: our own file
                [path, 'trial', 'prepare', 'begin', '-'],
                input=xml,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        if (
            result.returncode != status
            or result.stdout
            or words not in result.stderr
        ):
            return (
                f'exit status {result.returncode} in place of {status}, '
                f'output {result.stdout + result.stderr!r}'
            )
    return ''
