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

"""Finds what ended guests have left in dom0 and in the hypervisor."""

from collections.abc import Iterator

from lab.cloud import cloud as clouds
from lab.run import errors
from lab.xen import driver_domain

_SECONDS = 400
_OWN = ('Domain-0', driver_domain.NAME)
#: Prints a line for each thing: what it is, its name, and the number of the
#: domain to which it belongs. Xen keeps a domain that has ended as long as
#: another one maps a page of it: "(null)" in the list. A backend of dom0's
#: kernel is what maps pages, by the grants of the guest.
_SCRIPT = r"""
xl list | sed 1d | while read -r name number rest; do
    echo "domain $name $number"
done
for folder in /local/domain /libxl /local/domain/0/backend/vbd \
    /local/domain/0/backend/vif /local/domain/0/backend/console
do
    for number in $(xenstore-list "$folder" 2>/dev/null); do
        echo "xenstore $folder/$number $number"
    done
done
for path in /sys/bus/xen-backend/devices/*; do
    name=${path##*/}
    case $name in
    *-*-*) number=${name#*-}; echo "backend $name ${number%-*}";;
    esac
done
losetup --noheadings --output BACK-FILE | while read -r path rest; do
    echo "loop $path -"
done
for path in /var/lib/nova/instances/*-*-*-*-*; do
    [ ! -d "$path" ] || echo "folder $path -"
done
"""


def check(cloud: clouds.Cloud, host: str) -> None:
    """Wait until everything in dom0 belongs to a server or to the lab.

    :param host: the name of the host with Xen
    :raises LabError: when something does not; the message names all of it
    """
    try:
        cloud.supervisor.wait(
            f'no leaks on {host}',
            lambda: not list(_found(cloud, host)),
            _SECONDS,
            every=2,
        )
    except errors.LabError as error:
        left = '; '.join(_found(cloud, host))
        if left:
            raise errors.LabError(f'left on {host}: {left}') from error


def _found(cloud: clouds.Cloud, host: str) -> Iterator[str]:
    result = cloud.hosts[host].run(cloud.supervisor, ['sh', '-c', _SCRIPT])
    there = [line.split() for line in result.stdout.splitlines()]
    if not any(words[:2] == ['domain', 'Domain-0'] for words in there):
        raise errors.LabError(f'{host} does not list dom0: {result.stderr}')
    servers = [
        one
        for one in cloud.connect().compute.servers(all_projects=True)
        if one.compute_host == host
    ]
    names = {*_OWN, *(one.instance_name for one in servers)}
    numbers = {
        words[2]
        for words in there
        if words[0] == 'domain' and words[1] in names
    }
    for kind, name, number in there:
        if kind in ('loop', 'folder'):
            gone = '/nova/instances/' in name and not any(
                one.id in name for one in servers
            )
        else:
            gone = number not in numbers
        if gone:
            yield f'{kind} {name}'
