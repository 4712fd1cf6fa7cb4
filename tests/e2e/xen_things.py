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

"""Lists what guests have on a host with Xen. It runs there, by itself.

It prints a list of JSON: for each thing its kind, what it belongs to and what
it is. What belongs to a domain has the number of the domain, and anything else
the name of the domain or the UUID of the server.

usage: python3 - INSTANCES CONSOLES
"""

from collections.abc import Iterator
from collections.abc import Sequence
import json
from pathlib import Path
import re
import subprocess
import sys

Thing = tuple[str, str, str]

#: Where xenstore has what the number of a domain names.
_NUMBERED = ('/local/domain', '/libxl', '/local/domain/0/device-model')
_USERDATA = re.compile(r'userdata-\w\.([0-9]+)\.')
_MODEL = re.compile(r' -xen-domid ([0-9]+) ')
_GRANTS = re.compile(r'grant-table for remote d([0-9]+)\b')
#: What Xen writes before and after it prints all grants.
_GRANTS_BEGIN = 'gnttab_usage_print_all [ key'
_GRANTS_END = 'gnttab_usage_print_all ] done'


def output(*command: str) -> str:
    """What a program prints, which has to succeed."""
    return subprocess.run(
        command, check=True, capture_output=True, encoding='utf-8'
    ).stdout


def domains() -> Iterator[Thing]:
    """Each domain that the hypervisor has, and each that libvirt knows.

    One that has ended and whose pages somebody still has is without a name.
    """
    for line in output('xl', 'list').splitlines()[1:]:
        name, number, *_ = line.split()
        yield 'domain', number, name
    for name in output(
        'virsh', '-q', '-c', 'xen:///system', 'list', '--all', '--name'
    ).split():
        yield 'definition', name, name


def grants() -> Iterator[Thing]:
    """Each domain of which another one has pages."""
    output('xl', 'debug-keys', 'g')
    log = output('xl', 'dmesg')
    begin, end = log.rindex(_GRANTS_BEGIN), log.rindex(_GRANTS_END)
    if end < begin:
        raise ValueError('Xen has not printed all grants')
    for number in _GRANTS.findall(log[begin:end]):
        yield 'grants', number, 'pages'


def xenstore() -> Iterator[Thing]:
    """What xenstore has of each domain, and of what serves its devices."""
    paths = [*_NUMBERED]
    for number in listed('/local/domain'):
        backends = f'/local/domain/{number}/backend'
        paths += [f'{backends}/{kind}' for kind in listed(backends)]
    for path in paths:
        for number in listed(path):
            yield 'xenstore', number, f'{path}/{number}'
    for uuid in listed('/vm'):
        name = output('xenstore-read', f'/vm/{uuid}/name').strip()
        yield 'xenstore', name, f'/vm/{uuid}'


def listed(path: str) -> Sequence[str]:
    """What is below a path of xenstore, which may not exist."""
    found = subprocess.run(
        ['xenstore-list', path],
        check=False,
        capture_output=True,
        encoding='utf-8',
    )
    return found.stdout.split()


def loops() -> Iterator[Thing]:
    """Each loop device."""
    devices = json.loads(
        output('losetup', '--json', '--output', 'NAME,BACK-FILE') or '{}'
    )
    for device in devices.get('loopdevices', ()):
        path = device['back-file']
        yield 'loop', Path(path).parent.name, f'{device["name"]} of {path}'


def processes() -> Iterator[Thing]:
    """Each process that works for a domain."""
    for path in Path('/proc').glob('[0-9]*/cmdline'):
        try:
            words = path.read_text('utf-8', 'replace').replace('\0', ' ')
        except OSError:
            # It has ended.
            continue
        found = _MODEL.search(words)
        if found:
            yield 'process', found[1], f'{path.parent.name}: {words}'


def files(instances: Path, consoles: Path) -> Iterator[Thing]:
    """The files of servers and of domains."""
    for path in instances.glob('*-*-*-*-*'):
        yield 'folder', path.name, str(path)
    for path in consoles.glob('guest-*.log'):
        if path.stat().st_size:
            name = path.stem.removeprefix('guest-')
            yield 'console', name, str(path)
    for path in Path('/run/libvirt/libxl').glob('*.xml'):
        yield 'state', path.stem, str(path)
    for path in Path('/var/lib/xen').glob('userdata-*'):
        found = _USERDATA.match(path.name)
        yield 'userdata', found[1] if found else '?', str(path)


def main() -> None:
    """Print all."""
    instances, consoles = map(Path, sys.argv[1:])
    things = [
        *files(instances, consoles),
        *loops(),
        *processes(),
        *xenstore(),
        *grants(),
        # Last: what belongs to a domain is no longer there when it is not.
        *domains(),
    ]
    print(json.dumps(things))


if __name__ == '__main__':
    main()
