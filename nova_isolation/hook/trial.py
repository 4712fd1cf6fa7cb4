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

"""A trial run of the installed hook, as libvirt would run it."""

from collections.abc import Callable
from pathlib import Path
import subprocess  # nosec B404: to run the installed file
import typing

from nova_isolation.hook import advice
from nova_isolation.hook import selinux_label
from nova_isolation.host import domain_metadata
from nova_isolation.mechanisms.svirt import reason_codes
from nova_isolation.probes import apparmor

_SECONDS = 60
# A tagged guest whose XML has nothing that would confine it.
_TAGGED = (
    '<domain><name>trial</name><metadata><nova:instance '
    f'xmlns:nova="{domain_metadata.NAMESPACE}"><nova:flavor><nova:extraSpecs>'
    '<nova:extraSpec name="isolation:svirt">any</nova:extraSpec>'
    '</nova:extraSpecs></nova:flavor></nova:instance></metadata></domain>'
)
_UNTAGGED = '<domain><name>trial</name></domain>'


#: The profiles of the daemons that run hooks for guests of QEMU.
_PROFILES = ('libvirtd', 'virtqemud')


class Result(typing.NamedTuple):
    """The result of a trial run.

    :ivar fault: what is wrong with the installed file; '' where it works
    :ivar untried: why the hook was not tried under the AppArmor profile of
        libvirt; '' where it was tried, or libvirt is not confined
    """

    fault: str
    untried: str


def run(path: Path, read: Callable[[str], str] = selinux_label.text) -> Result:
    """Try the installed file.

    Where AppArmor confines libvirt's daemon, the file is tried under the same
    profile. A process cannot be put into a domain of SELinux like that; see
    :meth:`nova_isolation.hook.selinux_label.Labels.check`.

    :param path: the file
    :param read: reads the text of a file
    """
    try:
        loaded = apparmor.profiles(read)
    except OSError as error:
        # In a container, or for a user other than root.
        untried = f'the profiles of AppArmor cannot be read: {error}'
        return Result(_fault([str(path)]), untried)
    profiles = [name for name in _PROFILES if name in loaded]
    program = selinux_label.find_program('aa-exec')
    if not profiles or program is None:
        untried = (
            'the program aa-exec is not installed; '
            + advice.install('aa-exec')
            if profiles
            else ''
        )
        return Result(_fault([str(path)]), untried)
    for profile in profiles:
        found = _fault([program, '-p', profile, '--', str(path)])
        if found:
            return Result(found, '')
    return Result('', '')


def _fault(command: list[str]) -> str:
    for xml, status, words in (
        (_UNTAGGED, 0, ''),
        (_TAGGED, 1, reason_codes.DEFINITION.code),
    ):
        try:
            result = subprocess.run(  # noqa: S603  # nosec B603: our own file
                [*command, 'trial', 'start', 'begin', '-', 'verbose'],
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
                f'{" ".join(command)}: exit status {result.returncode} in '
                f'place of {status}, output '
                f'{result.stdout + result.stderr!r}'
            )
    return ''
