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

"""Whether SELinux in dom0 confines the tools of Xen, and nova-compute."""

from collections.abc import Iterator
import typing

from nova_isolation.mechanisms import sources
from nova_isolation.model import printable
from nova_isolation.probes import selinux

#: What must run in dom0.
_RUNNING = ('xenstored', 'xenconsoled', 'libvirt', 'nova-compute')

#: How many characters of a wrong label are told.
_TOLD = 48


def wrong(host: sources.Host, options: typing.Any) -> tuple[str, ...]:
    """Return what is wrong with the confinement of Xen's tools and ours.

    The words are equal on alike hosts: they name no process.

    :param host: the host, one of Xen
    :param options: the options of the mechanism
    :returns: empty where each program is confined
    :raises OSError, ValueError: dom0 cannot be examined
    """
    return tuple(sorted(set(_wrong(host, options))))


def wanted(options: typing.Any) -> dict[str, str]:
    """Return what runs in dom0 -> the SELinux type in which it must run."""
    return {
        'xenstored': options.xenstored_type,
        'xenconsoled': options.xenconsoled_type,
        'libvirt': options.libvirt_type,
        'device model': options.device_model_type,
        'nova-compute': options.nova_compute_type,
        'helper of nova-compute': options.nova_helper_type,
    }


def _wrong(host: sources.Host, options: typing.Any) -> Iterator[str]:
    xen = host.xen()
    if xen is None:
        raise ValueError('the host has no dom0')
    mode = selinux.mode(host.read)
    if mode != 'enforcing':
        yield f'SELinux {mode}'
        return
    processes = xen.processes()
    types = wanted(options)
    for name in _RUNNING:
        if all(one.name != name for one in processes):
            yield f'no {name}'
    for name, label in {(one.name, one.label) for one in processes}:
        found = label.split(':')[2] if label.count(':') >= 2 else label
        if found != types.get(name):
            yield f'{name} in {printable.one_line(found)[:_TOLD]}'
        elif not selinux.enforced(label, host.read, host.ask):
            yield f'{found} permissive'
